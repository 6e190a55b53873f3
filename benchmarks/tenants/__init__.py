"""What tenants cost, and what a greedy one does to others."""

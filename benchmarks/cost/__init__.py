"""What does a gateway cost, beside what gRPC itself costs in Python?"""

"""What the gateway tells about itself, in OpenTelemetry's and Prometheus's terms.

The only part that knows either. It listens to events and to an observer's reports.
"""

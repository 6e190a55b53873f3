"""Another configuration while calls are served: read, built beside the old one, put in place.

A call begins and ends under one configuration. What two of them have in common is one and the
same object, so that circuits, queues and remembered scores go on.
"""

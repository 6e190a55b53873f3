"""The HTTP faces: existing tools of a vendor need another base URL, and nothing else.

Each face reads its vendor's JSON into the request message of our own contract and writes
the answer message as its vendor would. What happens in between is what happens to a gRPC
call (`gateway.rpc.in_process`).
"""

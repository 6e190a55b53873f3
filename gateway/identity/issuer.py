"""Fetch the keys of whoever signs tokens.

By httpx, since an issuer is somebody else's, often behind a proxy that the environment
names (HTTPS_PROXY), and asked once in a while.
"""

import httpx

from gateway.identity.jwks import KeysUnavailable

_MOST_BYTES = 1024 * 1024
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


async def fetch(client: httpx.AsyncClient, url: str) -> bytes:
    """Give the keys as they come.

    Args:
        client: Follows no redirects; whoever calls bounds the time.
        url: Where they are.

    Raises:
        KeysUnavailable: There is no answer, or none of at most 1 MiB with the status 200.

    """
    body = bytearray()
    try:
        async with client.stream("GET", url, headers=_HEADERS) as answer:
            if answer.status_code != httpx.codes.OK:
                message = f"the answer has the status {answer.status_code}"
                raise KeysUnavailable(message)
            async for part in answer.aiter_raw():
                body += part
                if len(body) > _MOST_BYTES:
                    message = f"the answer has more than {_MOST_BYTES} bytes"
                    raise KeysUnavailable(message)
    except httpx.HTTPError as error:
        message = f"no answer ({type(error).__name__})"
        raise KeysUnavailable(message) from error
    return bytes(body)

"""What can stand between a caller and a backend: one file per effect.

To build one: take a `Scorer` as first argument, be a `Scorer` yourself, and change
whether, when, how often or whom is asked, never what the answer means. Everything else
comes as a keyword without a default, since defaults live in `gateway.settings`.
Failures leave as a plain `BackendError`; cancellation is passed on untouched. The place of
a layer among the others is decided in `gateway.compose`, with its reason beside it.
"""

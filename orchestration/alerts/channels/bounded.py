"""An end for every sending: whatever a channel waits for, whoever waits for the channel goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable

from orchestration.alerts.channels.interface import Channel, ChannelError, Message

SEND_LIMIT_S = 60.0  # three attempts within their own time-outs; longer only where the other side drips


def send_in_time(channel: Channel, message: Message, limit_s: float = SEND_LIMIT_S) -> None:
    """Send in a thread and wait for it at most `limit_s`; then it is left to itself and ends with the process.

    Time-outs of single steps do not end a server that answers byte by byte, nor a resolver of names.

    Raises
    ------
    ChannelError
        If it did not end in time; it may still arrive.
    Exception
        What the channel raised.
    """
    if channel.leaves_machine:
        within(lambda: channel.send(message), limit_s)
    else:
        channel.send(message)


def within(send: Callable[[], None], limit_s: float = SEND_LIMIT_S) -> None:
    """The same for anything that sends."""
    ended: list[Exception | None] = []

    def work() -> None:
        try:
            send()
        except Exception as error:  # noqa: BLE001 - raised again where somebody waits for it
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit_s)
    if not ended:
        raise ChannelError(f"no end within {limit_s:g} seconds")
    if ended[0] is not None:
        raise ended[0]

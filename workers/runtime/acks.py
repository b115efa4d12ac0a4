"""A repair of kombu: a message that cannot be acknowledged gives its place to the next one.

Without it a worker whose broker goes away while it works keeps the place for ever, asks for no
other message, and so does not even notice that the broker is back.
"""

from typing import Any

from kombu.transport import redis


class FreeingQoS(redis.QoS):
    """Counts a message as done also when the broker could not be told; the relay sends others."""

    def ack(self, delivery_tag: Any) -> None:
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        except self.channel.connection_errors:
            self._quick_ack(delivery_tag)
            raise

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        except self.channel.connection_errors:
            self._quick_ack(delivery_tag)
            raise


def repair_acks() -> None:
    redis.Channel.QoS = FreeingQoS

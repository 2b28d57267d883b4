"""A mail server on a loopback port, as much of RFC 5321 as `smtplib` speaks, with a script of refusals."""

from __future__ import annotations

import base64
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default


@dataclass
class MailStub:
    """`refuse`: answer by verb ("RCPT": "550 no"); "hang" says nothing until the test ends. `mails`: what arrived."""

    refuse: Mapping[str, str] = field(default_factory=dict)
    mails: list[Message] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0


def _handler(stub: MailStub) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            if stub.refuse.get("CONNECT") == "hang":
                stub.released.wait()
                return
            self.say(stub.refuse.get("CONNECT", "220 stub ESMTP"))
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                if stub.refuse.get(verb) == "drop":
                    return
                if verb == "EHLO":
                    self.say("250-stub")
                    self.say("250 AUTH PLAIN")
                elif verb == "AUTH":
                    stub.logins.append(base64.b64decode(line.split(" ")[2]).decode())
                    self.say(stub.refuse.get(verb, "235 welcome"))
                elif verb == "DATA" and verb not in stub.refuse:
                    self.say("354 go on")
                    self._read_mail()
                    self.say("250 taken")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    if verb == "RCPT":
                        stub.recipients.append(line.split("<")[1].rstrip(">"))
                    self.say(stub.refuse.get(verb, "250 fine"))

        def _read_mail(self) -> None:
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line)
            stub.mails.append(message_from_bytes(b"".join(lines), policy=default))

    return Handler


@contextmanager
def mail_server(**refuse: str) -> Iterator[MailStub]:
    stub = MailStub(refuse)
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(stub))
    server.daemon_threads = True
    stub.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        stub.released.set()
        server.shutdown()
        thread.join()
        server.server_close()

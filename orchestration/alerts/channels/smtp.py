"""Mail through an SMTP server: STARTTLS, TLS from the first byte, or in clear to a relay of this machine."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from orchestration.alerts.channels.interface import Channel, ChannelError, Message, cut
from orchestration.settings import Secret

TIMEOUT_S = 10.0  # of each step; grey-listing servers take their time
_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class MailServer:
    """`security`: starttls, tls or none. `user` None: no login."""

    host: str
    port: int
    security: str
    user: str | None
    password: Secret | None


class SmtpChannel(Channel):
    name = "smtp"

    def __init__(
        self, server: MailServer, sender: str, recipients: Sequence[str], timeout_s: float = TIMEOUT_S
    ) -> None:
        self._server, self._sender, self._recipients = server, sender, tuple(recipients)
        self._timeout_s = timeout_s

    def send(self, message: Message) -> None:
        mail = EmailMessage()
        mail["Subject"] = cut(" ".join(message.title.split()), _SUBJECT)  # a line break would be another header
        mail["From"], mail["To"] = self._sender, ", ".join(self._recipients)
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2] or "localhost")
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        mail.set_content(f"{message.title}\n\n{message.body}\n")
        told = self._deliver(mail)
        if told:  # outside of the handler: what a server says, and what smtplib quotes of us, stays there
            raise ChannelError(told)

    def _deliver(self, mail: EmailMessage) -> str:
        try:
            with self._connected() as connection:
                connection.send_message(mail, self._sender, list(self._recipients))
        except smtplib.SMTPAuthenticationError as error:
            return f"the mail server refuses user and password (SMTP {error.smtp_code})"
        except smtplib.SMTPRecipientsRefused:
            return "the mail server refuses every recipient"
        except smtplib.SMTPResponseException as error:
            return f"the mail server refuses (SMTP {error.smtp_code})"
        except smtplib.SMTPServerDisconnected:  # what smtplib makes of a time-out, too
            return "no answer in time, or the mail server hung up"
        except (smtplib.SMTPException, ssl.SSLError) as error:
            return f"the exchange with the mail server failed ({type(error).__name__})"
        except TimeoutError:
            return "no answer in time"
        except OSError as error:
            return f"cannot connect ({type(error).__name__})"
        return ""

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        if server.security == "tls":
            context = ssl.create_default_context()
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=self._timeout_s, context=context
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=self._timeout_s)
        try:
            if server.security == "starttls":
                connection.starttls(context=ssl.create_default_context())
            if server.user is not None and server.password is not None:
                connection.login(server.user, server.password.reveal())
        except BaseException:
            connection.close()
            raise
        return connection

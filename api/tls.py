"""TLS in this process, for a server that no proxy stands in front of."""

import ssl

import structlog

from realtime.errors import GatecastError
from realtime.settings import Settings


class CertificateRefused(GatecastError):
    """The certificate or its key cannot be used; the text is one sentence for a person."""


class Certificate:
    """The certificate that is shown to clients, and read again when it was renewed."""

    def __init__(self, chain: str, key: str) -> None:
        """Paths of PEM files: the certificate with its intermediates, and the key."""
        self._files = chain, key
        self.context = self._read()

    @classmethod
    def of(cls, settings: Settings) -> "Certificate | None":
        """None: this server speaks plain HTTP."""
        if not settings.tls_cert and not settings.tls_key:
            return None
        if not settings.tls_cert or not settings.tls_key:
            raise CertificateRefused("GATECAST_TLS_CERT and GATECAST_TLS_KEY go together: set both")
        return cls(settings.tls_cert, settings.tls_key)

    def renew(self) -> None:
        """New connections see the files as they are now; what does not fit changes nothing."""
        try:
            self._read()
            self.context.load_cert_chain(*self._files)
        except CertificateRefused as error:
            structlog.get_logger().error("the old certificate stays", error=str(error))
        else:
            structlog.get_logger().info("certificate read again", file=self._files[0])

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        chain, key = self._files
        try:
            context.load_cert_chain(chain, key, self._no_password)
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).lower().replace("_", " ")
            sentence = f"{chain} and {key} are no certificate and its key in PEM form: {reason}"
            raise CertificateRefused(sentence) from error
        except OSError as error:
            sentence = f"cannot read {error.filename or f'{chain} or {key}'}: {error.strerror}"
            raise CertificateRefused(sentence) from error
        return context

    def _no_password(self) -> str:
        raise CertificateRefused(f"{self._files[1]} has a password: a server needs it without one")

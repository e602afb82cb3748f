"""Certificates of an authority that exists for one test."""

from pathlib import Path
from typing import NamedTuple

import trustme


class CertificateFiles(NamedTuple):
    """PEM files: the certificate with its chain, its key, and the authority to trust."""

    chain: Path
    key: Path
    ca: Path


def issue(folder: Path, *names: str) -> CertificateFiles:
    """A certificate for these names, of a new authority."""
    files = CertificateFiles(folder / "chain.pem", folder / "key.pem", folder / "ca.pem")
    authority = trustme.CA()
    issued = authority.issue_cert(*names)
    authority.cert_pem.write_to_path(files.ca)
    issued.private_key_pem.write_to_path(files.key)
    files.chain.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    return files

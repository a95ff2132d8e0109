"""Writes ca.pem, and server.crt and server.key for 127.0.0.1 signed by it, into the folder that is named."""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

folder = pathlib.Path(sys.argv[1])
now = datetime.datetime.now(datetime.timezone.utc)


def certificate(name, key, issuer, issuer_key, *extensions):
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def named(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


ca_key = ec.generate_private_key(ec.SECP256R1())
ca = named("an authority")
(folder / "ca.pem").write_bytes(
    certificate(ca, ca_key, ca, ca_key, (x509.BasicConstraints(ca=True, path_length=None), True))
)
key = ec.generate_private_key(ec.SECP256R1())
host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
(folder / "server.crt").write_bytes(certificate(named("127.0.0.1"), key, ca, ca_key, (host, False)))
(folder / "server.key").write_bytes(
    key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
)

import base64
import errno
import hashlib
import random
import stat
import subprocess

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from zoo.errors import ContractError, NotFoundError, ZooError
from zoo.shelves.signatures import (
    generate_key,
    key_name,
    load_private_key,
    load_public_key,
    read_signature,
    sign,
    signature_document,
    verify,
)

# RFC 8032, section 7.1, test 1.
SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
HASHES = {"recipe.toml": "a" * 64, "model/card.json": "b" * 64}


def key():
    return Ed25519PrivateKey.from_private_bytes(SECRET)


def test_a_signature_is_that_of_the_sorted_list_of_files():
    made = sign(HASHES, key())
    said = b"zoo signature 1\n" + b"b" * 64 + b"  model/card.json\n" + b"a" * 64 + b"  recipe.toml\n"
    Ed25519PublicKey.from_public_bytes(PUBLIC).verify(base64.b64decode(made.signature), said)
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(PUBLIC).verify(base64.b64decode(made.signature), said + b" ")


def test_a_key_is_named_by_the_hash_of_its_public_bytes():
    name = hashlib.sha256(PUBLIC).hexdigest()[:16]
    assert key_name(key()) == name == sign(HASHES, key()).key == verify(sign(HASHES, key()), HASHES)


@pytest.mark.parametrize(
    "changed",
    [
        HASHES | {"recipe.toml": "c" * 64},
        HASHES | {"one-more.json": "c" * 64},
        {"recipe.toml": "a" * 64},
        {"recipe.toml": "b" * 64, "model/card.json": "a" * 64},
    ],
    ids=["altered", "added", "removed", "exchanged"],
)
def test_files_that_were_not_signed_are_noticed(changed):
    with pytest.raises(ContractError, match=r"signature\.json: the signature of key \w{16} does not hold"):
        verify(sign(HASHES, key()), changed)


def test_a_signature_by_another_key_is_named_where_one_key_is_trusted():
    other = Ed25519PrivateKey.generate()
    assert verify(sign(HASHES, other), HASHES, trusted=[other.public_key(), key().public_key()]) == key_name(other)
    with pytest.raises(ContractError, match=f"is signed by key {key_name(other)}; expected key {key_name(key())}"):
        verify(sign(HASHES, other), HASHES, trusted=[key().public_key()])


def test_a_key_that_says_another_name_is_refused():
    made = sign(HASHES, key())
    lying = type(made)(key="0" * 16, public_key=made.public_key, signature=made.signature)
    with pytest.raises(ContractError, match="names key 0000000000000000; the key in it is"):
        verify(lying, HASHES)


def test_what_leads_out_of_a_folder_is_not_signed():
    with pytest.raises(ValueError, match=r"file name '\.\./recipe\.toml' is not allowed"):
        sign({"../recipe.toml": "a" * 64}, key())


def test_every_bit_of_the_document_counts():
    content = signature_document(sign(HASHES, key())).encode()
    verify(read_signature(content), HASHES)
    draw = random.Random(0)
    for bit in draw.sample(range(8 * len(content)), 400):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ContractError, match=r"^signature\.json"):
            verify(read_signature(bytes(flipped)), HASHES)


def test_a_pair_of_keys_is_written_once_and_read_back(tmp_path):
    name = generate_key(tmp_path / "team.key")
    assert key_name(load_private_key(tmp_path / "team.key")) == name
    assert key_name(load_public_key(tmp_path / "team.key.pub")) == name
    assert stat.S_IMODE((tmp_path / "team.key").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        generate_key(tmp_path / "team.key")
    assert key_name(load_private_key(tmp_path / "team.key")) == name


def test_no_private_key_stays_where_the_public_one_is_taken(tmp_path):
    (tmp_path / "team.key.pub").write_text("another's")
    with pytest.raises(FileExistsError):
        generate_key(tmp_path / "team.key")
    assert [path.name for path in tmp_path.iterdir()] == ["team.key.pub"]


def test_a_passphrase_is_needed_where_one_was_given_and_nowhere_else(tmp_path):
    name = generate_key(tmp_path / "team.key", passphrase=b"open sesame")
    assert key_name(load_private_key(tmp_path / "team.key", passphrase=b"open sesame")) == name
    with pytest.raises(ZooError, match=r"team\.key: is encrypted; give its passphrase"):
        load_private_key(tmp_path / "team.key")
    with pytest.raises(ZooError, match=r"team\.key: the passphrase is wrong, or the file is damaged"):
        load_private_key(tmp_path / "team.key", passphrase=b"wrong")
    generate_key(tmp_path / "open.key")
    with pytest.raises(ZooError, match="is not encrypted; leave the passphrase out"):
        load_private_key(tmp_path / "open.key", passphrase=b"any")


def test_openssl_reads_the_keys(tmp_path):
    generate_key(tmp_path / "team.key")
    told = subprocess.run(
        ["openssl", "pkey", "-in", str(tmp_path / "team.key"), "-pubout"], capture_output=True, text=True, check=True
    )
    assert told.stdout == (tmp_path / "team.key.pub").read_text()


@pytest.mark.parametrize("load", [load_private_key, load_public_key])
def test_what_is_not_a_key_is_refused_in_one_line(load, tmp_path):
    with pytest.raises(NotFoundError, match=r"gone: there is no such file; expected a (private|public) key"):
        load(tmp_path / "gone")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ZooError, match=r"text: does not hold a (private|public) key"):
        load(tmp_path / "text")
    elliptic = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "other").write_bytes(
        elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        if load is load_private_key
        else elliptic.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(ZooError, match="other: holds a key of another kind"):
        load(tmp_path / "other")


def test_a_key_that_was_not_written_whole_is_removed(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left") as raised:
        generate_key(tmp_path / "team.key")
    assert raised.value.filename == str(tmp_path / "team.key")
    assert list(tmp_path.iterdir()) == []

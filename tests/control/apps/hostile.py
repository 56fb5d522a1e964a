"""Archives of a stranger: how they are built, and a table of those that are refused."""

import gzip
import io
import random
import tarfile
from collections.abc import Callable

Build = Callable[[tarfile.TarFile], None]


def file(name: str, content: bytes = b"x", **fields: object) -> Build:
    def build(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        for field, value in fields.items():
            setattr(member, field, value)
        archive.addfile(member, io.BytesIO(content))

    return build


def special(name: str, kind: bytes, linkname: str = "", **fields: object) -> Build:
    return file(name, b"", type=kind, linkname=linkname, **fields)


def link(name: str, target: str) -> Build:
    return special(name, tarfile.SYMTYPE, target)


def hard(name: str, target: str) -> Build:
    return special(name, tarfile.LNKTYPE, target)


def folder(name: str) -> Build:
    return special(name, tarfile.DIRTYPE, mode=0o755)


def raw(*blocks: bytes) -> Build:
    def build(archive: tarfile.TarFile) -> None:
        for block in blocks:
            archive.fileobj.write(block)  # type: ignore[union-attr]
            archive.offset += len(block)

    return build


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def extended(text: bytes, size: int | None = None, kind: bytes = b"x") -> bytes:
    return (
        header("h", kind, len(text) if size is None else size) + text + b"\0" * (-len(text) % 512)
    )


def record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + len(str(len(rest)))
    length = len(rest) + len(str(length))
    return str(length).encode() + rest


def tar(*builds: Build) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", errors="surrogateescape") as archive:
        for build in builds:
            build(archive)
    return packed.getvalue()


def zipped(*builds: Build) -> bytes:
    return gzip.compress(tar(*builds), 1)


ONE = file("one")
RANDOM = zipped(file("a", random.Random(1).randbytes(9000)))
DEEP = "x/" * 101 + "y"

HOSTILE: dict[str, tuple[bytes, str, str]] = {
    "two dots": (zipped(ONE, file("../evil")), "archive-unsafe", "../evil leads out"),
    "two dots within": (zipped(file("a/../../evil")), "archive-unsafe", "a/../../evil leads out"),
    "two dots that stay": (zipped(file("a/../b")), "archive-unsafe", "a/../b leads out"),
    "an absolute name": (zipped(file("/tmp/evil")), "archive-unsafe", "/tmp/evil has an absolute"),
    "an absolute folder": (zipped(folder("/d")), "archive-unsafe", "/d has an absolute name"),
    "a link out": (
        zipped(link("a", "../x")),
        "archive-unsafe",
        "a (leads out of the folder|is a link that leads out), to ../x",
    ),
    "an absolute link": (
        zipped(link("a", "/etc/passwd")),
        "archive-unsafe",
        "a is a link to an absolute",
    ),
    "a link by way of a link": (
        zipped(link("d/up", ".."), link("a", "d/up/../x")),
        "archive-unsafe",
        "a .*out",
    ),
    "a link by way of a later link": (
        zipped(folder("b"), link("a", "b/c/../x"), link("b/c", "..")),
        "archive-unsafe",
        "a is a link that leads out",
    ),
    "a link out and back": (zipped(link("a", "./../release/x")), "archive-unsafe", "leads out"),
    "links in a circle": (zipped(link("a", "b"), link("b", "a")), "archive-unsafe", "b is a link"),
    "a path too long for realpath": (
        zipped(
            *(link(f"{'d' * 200}{i}", "x" * 200) for i in range(3)),
            link("a", "x/" * 300 + "../" * 301 + "etc"),
        ),
        "archive-unsafe",
        "a has a name of more than 1024 bytes",
    ),
    "a file through a link": (
        zipped(folder("real"), link("a", "real"), file("a/evil")),
        "archive-unsafe",
        "a/evil lies beneath a, which is no folder",
    ),
    "a file in place of a link": (
        zipped(link("a", "b"), file("a")),
        "archive-malformed",
        "a is there twice",
    ),
    "a file beneath a file": (
        zipped(file("a"), file("a/b")),
        "archive-unsafe",
        "a/b lies beneath a",
    ),
    "a hard link out": (
        zipped(hard("a", "../../etc/passwd")),
        "archive-unsafe",
        "a (leads out|is a hard link to ../../etc/passwd, which is no file that came before)",
    ),
    "an absolute hard link": (
        zipped(hard("a", "/etc/passwd")),
        "archive-unsafe",
        "a is a link to an abs",
    ),
    "a hard link to nothing": (zipped(hard("a", "b")), "archive-unsafe", "a is a hard link to b"),
    "a hard link to a link": (
        zipped(link("b", "c"), hard("a", "b")),
        "archive-unsafe",
        "a is a hard link to b",
    ),
    "a hard link through a link": (
        zipped(file("d/f"), link("b", "d"), hard("a", "b/f")),
        "archive-unsafe",
        "a is a hard link to b/f",
    ),
    "a character device": (
        zipped(special("null", tarfile.CHRTYPE)),
        "archive-unsafe",
        "null is a dev",
    ),
    "a block device": (
        zipped(special("sda", tarfile.BLKTYPE)),
        "archive-unsafe",
        "sda is a device",
    ),
    "a pipe": (zipped(special("p", tarfile.FIFOTYPE)), "archive-unsafe", "p is a pipe"),
    "an unknown kind": (zipped(special("p", b"Z")), "archive-unsafe", "p is neither"),
    "a setuid file": (zipped(file("su", mode=0o4755)), "archive-unsafe", "su would run as"),
    "a setgid file": (zipped(file("sg", mode=0o2755)), "archive-unsafe", "sg would run as"),
    "a sparse file": (zipped(raw(header("s", b"S"))), "archive-unsafe", "sparse file"),
    "a sparse file by headers": (
        zipped(ONE, raw(extended(record(b"GNU.sparse.major", b"1"))), file("s")),
        "archive-unsafe",
        "sparse file after one",
    ),
    "a name twice": (zipped(file("a"), file("a")), "archive-malformed", "a is there twice"),
    "a name twice, once otherwise": (
        zipped(file("d/a"), file("./d//a")),
        "archive-malformed",
        r"\./d//a is there twice",
    ),
    "a link in place of a folder": (
        zipped(file("d/a"), link("d", "x")),
        "archive-malformed",
        "d is there twice",
    ),
    "a name that is not UTF-8": (
        zipped(file("caf\udce9")),
        "archive-unsafe",
        r"caf\\xe9 has a name that is not UTF-8",
    ),
    "a link that is not UTF-8": (
        zipped(link("a", "b\udcff")),
        "archive-unsafe",
        "a has a name that",
    ),
    "a name with NUL": (
        zipped(raw(extended(record(b"path", b"a\0b"))), file("a")),
        "archive-unsafe",
        r"a\\x00b has a name",
    ),
    "a name with a newline": (zipped(file("../a\nb")), "archive-unsafe", r"\.\./a\\nb leads"),
    "a name that is too long": (zipped(file("n" * 1025)), "archive-unsafe", "n{200}… has a name"),
    "a part that is too long": (
        zipped(file("n" * 256)),
        "archive-unwritable",
        "n+… cannot be writ",
    ),
    "folders in folders": (zipped(file(DEEP)), "archive-unsafe", "beneath more than 100 folders"),
    "no name": (zipped(file("")), "archive-malformed", "has no name"),
    "too many files": (
        zipped(*(file(str(number)) for number in range(21))),
        "archive-too-large",
        "20 is one more than the 20 files",
    ),
    "too many folders": (
        zipped(file("/".join("abcdefghijklmnopqrstuvwxyz"))),
        "archive-too-large",
        "is one more than the 20 files",
    ),
    "a bomb": (
        zipped(file("small"), file("zeros", bytes(200_000))),
        "archive-too-large",
        "zeros makes it more than 100,000 bytes",
    ),
    "a bomb that is not all sent": (
        zipped(raw(header("zeros", size=1 << 40))),
        "archive-too-large",
        "zeros makes it more",
    ),
    "a bomb as a header": (
        zipped(ONE, raw(extended(record(b"comment", bytes(1 << 20)).replace(b"\0", b"c")))),
        "archive-malformed",
        "one is followed by headers of more than 16384 bytes",
    ),
    "a bomb as a header of all": (
        zipped(raw(extended(b"", 1 << 33, kind=b"g"))),
        "archive-malformed",
        "its beginning is followed by headers of more",
    ),
    "a bomb as a long name": (
        zipped(raw(header("l", b"L", 1 << 33))),
        "archive-malformed",
        "headers",
    ),
    "headers of headers": (
        zipped(raw(extended(record(b"a", b"b")) * 40), file("a")),
        "archive-malformed",
        "headers of more than",
    ),
    "empty headers of headers": (
        zipped(raw(header("l", b"x") * 5000), file("a")),
        "archive-malformed",
        "headers of more than",
    ),
    "records that overlap": (
        zipped(raw(extended(b"2 " * 2000 + b"=")), file("a")),
        "archive-malformed",
        "malformed header",
    ),
    "records of no length": (
        zipped(raw(extended(b"0 a=b\n")), file("a")),
        "archive-malformed",
        "malformed header",
    ),
    "digits without an end": (
        zipped(raw(extended(record(b"a", b"1" * 4000))), file("a")),
        "archive-malformed",
        "malformed header",
    ),
    "a negative size": (
        zipped(ONE, raw(extended(record(b"size", b"-1024"))), file("a")),
        "archive-malformed",
        "negative size",
    ),
    "a broken header": (
        zipped(ONE, raw(b"\xff" * 512), file("lost")),
        "archive-malformed",
        "one is followed by a malformed header",
    ),
    "members after the end": (
        gzip.compress(tar(ONE) + tar(file("more"))),
        "archive-malformed",
        "one is the last member, but more follows",
    ),
    "zeros without end": (
        gzip.compress(tar(ONE) + bytes(4 << 20)),
        "archive-malformed",
        "one is the last member, but more follows",
    ),
    "no archive": (b"PK\x03\x04 this is a zip", "archive-malformed", "no .tar.gz"),
    "a tar without gzip": (tar(ONE), "archive-malformed", "no .tar.gz"),
    "nothing": (b"", "archive-malformed", "malformed|cut short"),
    "gzip of nothing": (gzip.compress(b""), "archive-malformed", "malformed|cut short"),
    "gzip of something else": (gzip.compress(b"hello" * 1000), "archive-malformed", "malformed"),
    "no end": (gzip.compress(tar(ONE)[:1024]), "archive-malformed", "cut short after one"),
    "a file cut short": (
        gzip.compress(tar(file("a", b"a" * 5000))[:3000]),
        "archive-malformed",
        "cut short after a",
    ),
    "a header cut short": (
        gzip.compress(tar(ONE, file("b"))[:1300]),
        "archive-malformed",
        "cut short after one",
    ),
    "gzip cut short": (
        RANDOM[:5000],
        "archive-malformed",
        "cut short after a",
    ),
    "gzip cut at its end": (zipped(ONE)[:-4], "archive-malformed", "cut short after one"),
    "a wrong checksum": (zipped(ONE)[:-8] + bytes(8), "archive-malformed", "damaged bytes"),
}

"""How long a classic NetCDF file must be, by its own header.

The NetCDF library reads what such a file lacks at its end as zeros, without a word: a download that
broke off would be a sea of 0 degC. Format: CDF-1, CDF-2 and CDF-5 of the NetCDF User's Guide.
"""

import math
import os
from pathlib import Path

_MAGIC = {b"CDF\x01": 1, b"CDF\x02": 2, b"CDF\x05": 5}
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}  # of each type


def bytes_missing(path: Path) -> int:
    """Bytes that a classic file lacks; 0 for a whole one and for any other format.

    Raises ValueError where the header itself breaks off or makes no sense.
    """
    with open(path, "rb") as stream:
        version = _MAGIC.get(stream.read(4))
        if version is None:
            return 0
        return max(0, _Header(stream, version).end() - os.path.getsize(path))


class _Header:
    """Reads number after number: 8 bytes each in CDF-5, 4 before; offsets 8 from CDF-2 on."""

    def __init__(self, stream, version: int):
        self.stream = stream
        self.wide, self.offset = (8 if version == 5 else 4), (4 if version == 1 else 8)

    def end(self) -> int:
        """The byte after the last value that the header promises."""
        records = self._number()
        streamed = records == 256**self.wide - 1  # written without knowing how many there will be
        dims = self._list(self._length_of_dim)
        self._list(self._skip_attribute)
        ends, of_record = [0], []
        for size, begin, axes in self._list(self._variable):
            if max(axes, default=0) >= len(dims) > 0:
                raise ValueError("its header is damaged")
            shape = [dims[axis] for axis in axes]
            if shape and shape[0] == 0:  # the axis that grows
                of_record.append((begin, size * math.prod(shape[1:])))
            else:
                ends.append(begin + size * math.prod(shape))
        if records and not streamed:
            step = sum(-(-n // 4) * 4 for _, n in of_record)  # each is filled up to 4 bytes,
            step = of_record[0][1] if len(of_record) == 1 else step  # but not one alone
            ends += [begin + (records - 1) * step + n for begin, n in of_record]
        return max(ends)

    def _number(self, width: int | None = None) -> int:
        width = width or self.wide
        read = self.stream.read(width)
        if len(read) < width:
            raise ValueError("its header breaks off")
        return int.from_bytes(read, "big")

    def _list(self, read_one) -> list:
        self._number(4)  # a tag: dimensions, variables, attributes or nothing
        return [read_one() for _ in range(self._number())]

    def _skip(self, size: int) -> None:
        self.stream.seek(-(-size // 4) * 4, os.SEEK_CUR)

    def _length_of_dim(self) -> int:
        self._skip(self._number())  # its name
        return self._number()

    def _skip_attribute(self) -> None:
        self._skip(self._number())
        self._skip(self._size() * self._number())

    def _variable(self) -> tuple[int, int, list[int]]:
        """Bytes of a value, where the first lies, and the dimensions."""
        self._skip(self._number())
        axes = [self._number() for _ in range(self._number())]
        self._list(self._skip_attribute)
        size = self._size()
        self._number()  # its size in bytes, which large variables exceed
        return size, self._number(self.offset), axes

    def _size(self) -> int:
        kind = self._number(4)
        if kind not in _BYTES:
            raise ValueError("its header is damaged")
        return _BYTES[kind]

package catalog

import (
	"archive/tar"
	"bytes"
	"fmt"
)

const (
	blockSize = 512
	// maxPlainName is the longest name that a header holds without an
	// extension (POSIX.1-1988 ustar, field "name").
	maxPlainName = 100
)

// appendFile appends a regular file as it stands in a catalog's tar: header,
// data, and zeros up to a whole block. It writes what archive/tar writes for
// tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: len(data)},
// and takes it from there for a name that needs an extension.
func appendFile(b []byte, name string, data []byte) ([]byte, error) {
	b, err := appendHeader(b, name, len(data))
	if err != nil {
		return nil, err
	}
	return appendPadding(append(b, data...), len(data)), nil
}

func appendHeader(b []byte, name string, size int) ([]byte, error) {
	if len(name) <= maxPlainName && size >= 0 && size <= MaxBytes {
		h := plainHeader(name, size)
		return append(b, h[:]...), nil
	}
	var out bytes.Buffer
	if err := tar.NewWriter(&out).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(size)}); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return append(b, out.Bytes()...), nil
}

// appendPadding fills up the last block of a file of that size.
func appendPadding(b []byte, size int) []byte {
	var zeros [blockSize]byte
	return append(b, zeros[:padding(size)]...)
}

func padding(size int) int { return -size & (blockSize - 1) }

// endOfTar is what closes a tar: two blocks of zeros.
func endOfTar() []byte { return make([]byte, 2*blockSize) }

// plainFixed is the sum of a plain header's bytes but for name and size, with
// the checksum taken for blanks.
const plainFixed = 4*'0' + '6' + 2*'4' + // mode
	2*7*'0' + // owner, group
	11*'0' + // time
	8*' ' + // checksum
	tar.TypeReg +
	'u' + 's' + 't' + 'a' + 'r' + 2*'0' +
	2*7*'0' // device

// plainHeader is the header of a file whose name has at most maxPlainName
// bytes, all of them ASCII.
func plainHeader(name string, size int) (h [blockSize]byte) {
	copy(h[:], name)
	copy(h[100:], "0000644\x000000000\x000000000\x00") // mode, owner, group
	octal(h[124:135], size)
	copy(h[136:], "00000000000\x00") // time
	copy(h[154:], "\x00 ")           // the checksum's end
	h[156] = tar.TypeReg
	copy(h[257:], "ustar\x0000")
	copy(h[329:], "0000000\x000000000\x00") // device
	sum := int(plainFixed)
	for _, c := range h[:len(name)] {
		sum += int(c)
	}
	for _, c := range h[124:135] {
		sum += int(c)
	}
	octal(h[148:154], sum)
	return h
}

// octal fills the field with the number's last octal digits.
func octal(field []byte, n int) {
	for i := len(field) - 1; i >= 0; i-- {
		field[i] = '0' + byte(n&7)
		n >>= 3
	}
}

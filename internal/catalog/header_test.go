package catalog_test

import (
	"fmt"
	"strings"
)

// header is a tar header that archive/tar would not write, with the checksum
// that makes it valid.
func header(kind byte, magic, size string) []byte {
	block := make([]byte, 512)
	copy(block, "manifests/default-a.yaml")
	copy(block[100:], "0000644\x000000000\x000000000\x00")
	copy(block[124:], size)
	copy(block[136:], "00000000000\x00")
	block[156] = kind
	copy(block[257:], magic)
	return seal(block)
}

// seal writes a header's checksum: the sum of its bytes, with the checksum's
// own taken for blanks.
func seal(block []byte) []byte {
	copy(block[148:], "        ")
	total := 0
	for _, b := range block {
		total += int(b)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", total))
	return block
}

// sparseGNU is a file of 2^62 bytes, all of them holes.
func sparseGNU() []byte {
	block := header('S', "ustar  \x00", "00000000000\x00")
	copy(block[483:], []byte{0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0})
	return seal(block)
}

// sparsePAX is the same of any size in the newer form, which archive/tar shows
// as a regular file.
func sparsePAX(size string) []byte {
	record := func(key, value string) string {
		length := len(key) + len(value) + 3
		return fmt.Sprintf("%d %s=%s\n", length+len(fmt.Sprint(length+2)), key, value)
	}
	records := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") +
		record("GNU.sparse.name", "manifests/default-a.yaml") + record("GNU.sparse.realsize", size)
	out := header('x', "ustar\x0000", fmt.Sprintf("%011o\x00", len(records)))
	out = append(out, records...)
	out = append(out, make([]byte, 512-len(records))...)
	// Its data is the list of the parts that are no holes: none.
	out = append(out, header('0', "ustar\x0000", "00000001000\x00")...)
	out = append(out, "0\n"+strings.Repeat("\x00", 510)...)
	return append(out, make([]byte, 1024)...)
}

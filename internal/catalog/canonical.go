package catalog

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
)

// readCanonical reads the files of an archive whose tar consists of nothing
// but what appendFile writes without archive/tar, and the end. For everything
// else, be it wrong or only unusual, it returns false, and its caller looks
// closer. Each file's data is memory of its own; together they are bounded by
// MaxBytes.
func readCanonical(archive []byte) ([]File, bool) {
	zr, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, false
	}
	defer zr.Close()
	var files []File
	var block, end [blockSize]byte
	left := MaxBytes
	for {
		if _, err := io.ReadFull(zr, block[:]); err != nil {
			return nil, false
		}
		if block == end {
			if _, err := io.ReadFull(zr, block[:]); err != nil || block != end {
				return nil, false
			}
			_, err := io.ReadFull(zr, block[:1])
			return files, err == io.EOF
		}
		name, size := plainFields(&block)
		if size < 0 || size > left || name == "" || plainHeader(name, size) != block {
			return nil, false
		}
		left -= size
		data := make([]byte, size)
		if _, err := io.ReadFull(zr, data); err != nil {
			return nil, false
		}
		rest := block[:padding(size)]
		if _, err := io.ReadFull(zr, rest); err != nil || !bytes.Equal(rest, end[:len(rest)]) {
			return nil, false
		}
		files = append(files, File{Name: name, Data: data})
	}
}

// plainFields reads name and size as plainHeader writes them; the size is
// negative if it is none.
func plainFields(block *[blockSize]byte) (string, int) {
	name := block[:maxPlainName]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	size := 0
	for _, c := range block[124:135] {
		if c < '0' || c > '7' {
			return "", -1
		}
		size = size<<3 | int(c-'0')
	}
	return string(name), size
}

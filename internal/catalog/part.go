package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
)

// part is one gzip member (RFC 1952, section 2.2: a file is a series of them).
type part struct {
	data   []byte
	length int    // before compression
	sum    uint32 // CRC-32 of data
}

var errNotTheSame = errors.New("a part of it does not unpack to what was packed")

// press makes parts. It is not for concurrent use.
type press struct {
	writer       *gzip.Writer
	reader       gzip.Reader
	packed       bytes.Buffer
	unpacked     [4096]byte
	files, lines []byte // of a group
}

func (p *Packer) press() (*press, error) {
	if tool, ok := p.presses.Get().(*press); ok {
		return tool, nil
	}
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return &press{writer: w}, err
}

// part compresses data, and compares it with what comes out again.
func (p *press) part(data []byte) (part, error) {
	p.packed.Reset()
	p.writer.Reset(&p.packed)
	p.writer.ModTime = time.Unix(0, 0) // which is written as none; the zero time is not
	if _, err := p.writer.Write(data); err != nil {
		return part{}, err
	}
	if err := p.writer.Close(); err != nil {
		return part{}, err
	}
	packed := bytes.Clone(p.packed.Bytes())
	if err := p.compare(packed, data); err != nil {
		return part{}, err
	}
	return part{data: packed, length: len(data), sum: crc32.ChecksumIEEE(packed)}, nil
}

// compare unpacks a part.
func (p *press) compare(packed, want []byte) error {
	if err := p.reader.Reset(bytes.NewReader(packed)); err != nil {
		return fmt.Errorf("%w: %w", errNotTheSame, err)
	}
	for {
		n, err := p.reader.Read(p.unpacked[:])
		if n > len(want) || !bytes.Equal(p.unpacked[:n], want[:n]) {
			return errNotTheSame
		}
		want = want[n:]
		if err == io.EOF && len(want) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errNotTheSame, err)
		}
	}
}

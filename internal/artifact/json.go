package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"gitops-squared.io/gsq/internal/intent"
)

// canonical returns the bytes in which a value of strings, numbers, slices and
// maps is stored.
func canonical(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("artifact: strings, numbers, slices and maps must encode: " + err.Error())
	}
	return data
}

// parseCanonical reads what canonical wrote of a value of v's type, and nothing
// else.
func parseCanonical(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || !bytes.Equal(canonical(v), data) {
		return intent.ErrNotCanonical
	}
	return nil
}

package embedded

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// The keys of the database. The first byte is the kind; repository and tag
// names cannot hold a zero byte, which ends them; a digest is a byte for the
// algorithm and the sum.
//
//	f                          the format version
//	B digest                   a blob: where it lies, and the blob if it is small
//	C sum                      a chunk of blobs, by its SHA-256
//	U digest                   when the blob was last uploaded or mounted
//	L digest repository        the repository has the blob; its size
//	M repository 0 digest      a manifest: media type and bytes
//	T repository 0 tag         the digest that a tag names
//	P repository 0 digest tag  the tag points, or once pointed, to the digest
//	R repository 0 subject digest  a referrer: its descriptor
const (
	kindFormat   = 'f'
	kindBlob     = 'B'
	kindChunk    = 'C'
	kindUpload   = 'U'
	kindLink     = 'L'
	kindManifest = 'M'
	kindTag      = 'T'
	kindPointer  = 'P'
	kindReferrer = 'R'
)

const (
	codeSHA256 = 1
	codeSHA512 = 2
)

func formatKey() []byte { return []byte{kindFormat} }

func blobKey(d digest.Digest) []byte {
	return appendDigest(append(make([]byte, 0, 66), kindBlob), d)
}

func uploadKey(d digest.Digest) []byte {
	return appendDigest(append(make([]byte, 0, 66), kindUpload), d)
}

func linkPrefix(d digest.Digest) []byte {
	return appendDigest(append(make([]byte, 0, 66+maxRepositoryLength), kindLink), d)
}

func linkKey(repo string, d digest.Digest) []byte { return append(linkPrefix(d), repo...) }

func manifestKey(repo string, d digest.Digest) []byte {
	return appendDigest(repoKey(kindManifest, repo), d)
}

func tagKey(repo, tag string) []byte { return append(repoKey(kindTag, repo), tag...) }

func pointerPrefix(repo string, d digest.Digest) []byte {
	return appendDigest(repoKey(kindPointer, repo), d)
}

func pointerKey(repo string, d digest.Digest, tag string) []byte {
	return append(pointerPrefix(repo, d), tag...)
}

func referrerPrefix(repo string, subject digest.Digest) []byte {
	return appendDigest(repoKey(kindReferrer, repo), subject)
}

func referrerKey(repo string, subject, d digest.Digest) []byte {
	return appendDigest(referrerPrefix(repo, subject), d)
}

// repoKey begins all keys of one kind in one repository.
func repoKey(kind byte, repo string) []byte {
	key := make([]byte, 0, 1+len(repo)+1+2*65)
	key = append(key, kind)
	key = append(key, repo...)
	return append(key, 0)
}

// repoOf returns the repository that a key made by repoKey names.
func repoOf(key []byte) (string, error) {
	end := bytes.IndexByte(key, 0)
	if end < 1 {
		return "", fmt.Errorf("%w (key %x)", ErrDamaged, key)
	}
	return string(key[1:end]), nil
}

// after returns the least key that is greater than all that begin with prefix.
// Prefixes here never consist of 0xff only.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// appendDigest appends a validated digest.
func appendDigest(key []byte, d digest.Digest) []byte {
	code := byte(codeSHA256)
	if d.Algorithm() == digest.SHA512 {
		code = codeSHA512
	}
	key, _ = hex.AppendDecode(append(key, code), []byte(d.Encoded())) // validated, so it is hexadecimal
	return key
}

// decodeDigest reads a digest that fills b.
func decodeDigest(b []byte) (digest.Digest, error) {
	switch {
	case len(b) == 1+32 && b[0] == codeSHA256:
		return digest.NewDigestFromBytes(digest.SHA256, b[1:]), nil
	case len(b) == 1+64 && b[0] == codeSHA512:
		return digest.NewDigestFromBytes(digest.SHA512, b[1:]), nil
	}
	return "", fmt.Errorf("%w (a key holds the digest %x)", ErrDamaged, b)
}

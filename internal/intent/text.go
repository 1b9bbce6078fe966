package intent

import "unicode/utf8"

// unwritable finds the first byte of s that does not begin a character that a
// manifest can hold: what is not UTF-8, DEL and the control characters from
// U+0080 on, the byte order mark, U+FFFE and U+FFFF (YAML 1.2, section 5.1, but
// for U+0085, which YAML takes for the end of a line). The YAML library alters
// the first and U+0085 without a word and refuses the others. Control
// characters below U+0020 are fine: they are written escaped.
func unwritable(s string) (at int, bad bool) {
	for at, r := range s {
		switch {
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(s[at:]); size == 1 {
				return at, true
			}
		case r >= 0x7f && r <= 0x9f, r == 0xfeff, r == 0xfffe, r == 0xffff:
			return at, true
		}
	}
	return 0, false
}

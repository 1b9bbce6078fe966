package intent

import (
	"fmt"
	"strconv"
	"time"
)

// Version is a point in the ledger's time: Unix microseconds, issued strictly
// increasing. As a tag it is written v<microseconds>.
type Version int64

// maxVersion is the last microsecond of the year 9999: it keeps times within
// the four-digit years of RFC 3339.
const maxVersion Version = 253402300799_999999

func (v Version) valid() bool { return v > 0 && v <= maxVersion }

// String returns the tag, "v" and the microseconds.
func (v Version) String() string { return "v" + strconv.FormatInt(int64(v), 10) }

// Time returns the moment in UTC.
func (v Version) Time() time.Time { return time.UnixMicro(int64(v)).UTC() }

// ParseVersion reads what String wrote, and nothing else: no sign, no leading
// zero, no time beyond the year 9999.
func ParseVersion(s string) (Version, error) {
	if len(s) < 2 || s[0] != 'v' || s[1] < '1' || s[1] > '9' {
		return 0, fmt.Errorf("%q is not a version: it must be v and a number of microseconds", s)
	}
	n, err := strconv.ParseInt(s[1:], 10, 64)
	if err != nil || !Version(n).valid() {
		return 0, fmt.Errorf("%q is not a version: it must be v and a number of microseconds before the year 10000", s)
	}
	return Version(n), nil
}

const timeLayout = "2006-01-02T15:04:05.000000Z"

// FormatTime writes a time as RFC 3339 in UTC with six decimals.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// ParseTime reads what FormatTime wrote of a Version's time, and nothing else:
// no other time zone, no other precision, nothing before 1970.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(timeLayout, s)
	if err != nil || FormatTime(t) != s || !Version(t.UnixMicro()).valid() {
		return time.Time{}, fmt.Errorf("%q is not a time from 1970 on, in UTC with six decimals", s)
	}
	return t, nil
}

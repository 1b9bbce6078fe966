package remote

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Address says where a registry is and how it is spoken to.
type Address struct {
	Host  string // host or host:port; an IPv6 address is in brackets
	Plain bool   // HTTP rather than HTTPS
}

// hostname matches DNS names and IPv4 addresses. Underscores are not valid in
// DNS, but container networks have names with them.
var hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$`)

// ParseAddress reads the setting that names the registry: http://host[:port],
// https://host[:port] or host[:port]; without a scheme it means plain HTTP if
// bareMeansPlain. Anything else (a path, a user name, another scheme) is an
// error that says what is wrong.
func ParseAddress(s string, bareMeansPlain bool) (Address, error) {
	a := Address{Host: s, Plain: bareMeansPlain}
	if scheme, host, ok := strings.Cut(s, "://"); ok {
		switch scheme {
		case "http", "https":
			a = Address{Host: host, Plain: scheme == "http"}
		default:
			return Address{}, fmt.Errorf("registry address %q: the scheme %q is not known, use http or https", s, scheme)
		}
	}
	if err := checkHost(a.Host); err != nil {
		return Address{}, fmt.Errorf("registry address %q: %w; want host or host:port, with http:// or https:// before it or not", s, err)
	}
	return a, nil
}

// String returns the address as a URL, which ParseAddress reads back.
func (a Address) String() string {
	if a.Plain {
		return "http://" + a.Host
	}
	return "https://" + a.Host
}

func checkHost(hostport string) error {
	switch {
	case hostport == "":
		return fmt.Errorf("the host is missing")
	case strings.Contains(hostport, "@"):
		return fmt.Errorf("it has a user name; credentials come from the Docker configuration")
	case strings.ContainsAny(hostport, "/?#"):
		return fmt.Errorf("it has a path; the repositories' prefix is a setting of its own")
	}
	host, port, hasPort := hostport, "", false
	if rest, ok := strings.CutPrefix(hostport, "["); ok {
		inner, after, closed := strings.Cut(rest, "]")
		if ip, err := netip.ParseAddr(inner); !closed || err != nil || !ip.Is6() || ip.Zone() != "" {
			return fmt.Errorf("%q is not an IPv6 address in brackets", host)
		}
		if after != "" && after[0] != ':' {
			return fmt.Errorf("%q follows the IPv6 address", after)
		}
		port, hasPort = strings.CutPrefix(after, ":")
	} else {
		host, port, hasPort = strings.Cut(hostport, ":")
		if !hostname.MatchString(host) {
			return fmt.Errorf("%q is not a host name or an IP address", host)
		}
	}
	if !hasPort {
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q is not a port number (1 to 65535)", port)
	}
	return nil
}

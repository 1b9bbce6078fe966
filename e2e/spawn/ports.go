package spawn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
)

// ErrPortTaken means that somebody took a port between our look and our
// process's.
var ErrPortTaken = errors.New("a port was taken by somebody else")

// Ports are taken below what systems hand out for port 0 and for outgoing
// connections (32768 and up on Linux, 49152 on others), so that nothing but
// another fixed listener can come between.
const (
	lowestPort  = 10000
	highestPort = 32000
)

// Ports returns n ports that were free on loopback, all different.
func Ports(n int) ([]int, error) {
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		if tries == 100*n {
			return nil, fmt.Errorf("found no %d free ports between %d and %d", n, lowestPort, highestPort)
		}
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		l, err := net.Listen("tcp", Address(port))
		if err != nil {
			continue
		}
		defer l.Close() // only when all are found: so all differ
		ports = append(ports, port)
	}
	return ports, nil
}

// Reserve returns a port of loopback that nobody else takes until it is
// released; who connects to it is refused.
func Reserve() (port int, release func(), err error) {
	for range 100 {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err != nil {
			return 0, nil, fmt.Errorf("reserve a port: %w", err)
		}
		syscall.CloseOnExec(fd)
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		if syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}) == nil {
			return port, sync.OnceFunc(func() { syscall.Close(fd) }), nil
		}
		syscall.Close(fd)
	}
	return 0, nil, fmt.Errorf("found no free port between %d and %d", lowestPort, highestPort)
}

// Address is a port of loopback as host:port.
func Address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

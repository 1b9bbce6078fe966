package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 100

// interactive reports whether somebody can answer a question.
func (p process) interactive() bool {
	file, ok := p.In.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// ask asks a question on standard error. Everything but y and yes means no, the
// end of the input, too. When ctx ends first, its error is returned at once. The
// read cannot be interrupted then: it ends with the input or with the process.
func (p process) ask(ctx context.Context, question string) (bool, error) {
	if _, err := fmt.Fprintf(p.Err, "%s [y/N] ", question); err != nil {
		return false, err
	}
	type answer struct {
		line string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(io.LimitReader(p.In, maxAnswer)).ReadString('\n')
		answered <- answer{line, err}
	}()
	var a answer
	select {
	case <-ctx.Done():
		fmt.Fprintln(p.Err)
		return false, ctx.Err()
	case a = <-answered:
	}
	if a.err != nil && a.err != io.EOF {
		return false, a.err
	}
	if !strings.HasSuffix(a.line, "\n") {
		fmt.Fprintln(p.Err)
	}
	line := strings.ToLower(strings.TrimSpace(a.line))
	return line == "y" || line == "yes", nil
}

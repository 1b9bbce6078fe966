package main

import (
	"bufio"
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
// end of the input, too.
func (p process) ask(question string) (bool, error) {
	if _, err := fmt.Fprintf(p.Err, "%s [y/N] ", question); err != nil {
		return false, err
	}
	line, err := bufio.NewReader(io.LimitReader(p.In, maxAnswer)).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, err
	}
	if !strings.HasSuffix(line, "\n") {
		fmt.Fprintln(p.Err)
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

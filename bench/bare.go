package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"gitops-squared.io/gsq/e2e/spawn"
)

// bareCommand makes this program be the bare server: it is followed by the name
// of a file with bareAnswers.
const bareCommand = "serve-answers"

// bareAnswers are what the bare server gives, by path.
type bareAnswers map[string]bareAnswer

type bareAnswer struct {
	Header http.Header
	Body   []byte
}

// serveBare is the baseline of reads: net/http that writes what it was given.
// It says where it listens, and serves until it is killed.
func serveBare(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var answers bareAnswers
	if err := json.Unmarshal(data, &answers); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		header := w.Header()
		for key, values := range a.Header {
			header[key] = values
		}
		_, _ = w.Write(a.Body) // who is gone is not answered
	}))
}

// bare is a bare server in a process of its own.
type bare struct {
	url     string
	cmd     *exec.Cmd
	spawner *spawn.Spawner
}

func startBare(ctx context.Context, dir string, answers bareAnswers) (*bare, error) {
	data, err := json.Marshal(answers)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "answers.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &bare{cmd: exec.CommandContext(ctx, self, bareCommand, file), spawner: spawn.New()}
	b.cmd.Stderr = os.Stderr
	spawn.DieTogether(b.cmd)
	out, err := b.cmd.StdoutPipe()
	if err == nil {
		err = b.spawner.Start(b.cmd)
	}
	if err != nil {
		b.spawner.Close()
		return nil, fmt.Errorf("start the bare server: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.close()
		return nil, fmt.Errorf("the bare server does not say where it listens: %w", err)
	}
	b.url = strings.TrimSpace(line)
	return b, nil
}

func (b *bare) close() {
	_ = b.cmd.Process.Kill() // it may have ended
	_ = b.cmd.Wait()         // by a signal
	b.spawner.Close()
}

package observability

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// sample is one line of /metrics, with the labels that Prometheus adds.
type sample struct {
	labels labels.Labels
	value  float64
}

var promql = parser.NewParser(parser.Options{})

// scraped returns what a server exports after some writes, good and bad. One
// server is asked, once.
var scraped = sync.OnceValues(scrape)

func metrics(t *testing.T) []sample {
	t.Helper()
	all, err := scraped()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func scrape() (all []sample, err error) {
	binary := os.Getenv("GSQ_BINARY")
	if binary == "" {
		binary = "../../bin/gsq"
	}
	data, err := os.MkdirTemp("", "gsq-observability-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(data)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "serve", "--listen", "127.0.0.1:0", "--data", data, "--log-level", "error")
	cmd.Stderr = os.Stderr
	cmd.Env = []string{"HOME=" + data}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: run \"make build\" first", err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if ended := cmd.Wait(); err == nil && ended != nil {
			err = fmt.Errorf("gsq: %w", ended)
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		return nil, fmt.Errorf("gsq printed %q: %v", line, err)
	}
	for {
		if status, _, err := ask(ctx, "GET", url+"/readyz", ""); err != nil {
			return nil, err
		} else if status == http.StatusOK {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	const vm = `{"name":%q,"spec":{"type":"vm","size":"small"}}`
	for _, write := range []struct {
		path, body string
		status     int
	}{
		{"/api/v1/resources", fmt.Sprintf(vm, "web"), http.StatusCreated},
		{"/api/v1/resources", fmt.Sprintf(vm, "Not A Name"), http.StatusBadRequest},
		{"/api/v1/namespaces/shop/resources", fmt.Sprintf(vm, "web"), http.StatusCreated},
	} {
		if status, answer, err := ask(ctx, "POST", url+write.path, write.body); err != nil || status != write.status {
			return nil, fmt.Errorf("POST %s: %d %s %v", write.path, status, answer, err)
		}
	}
	_, text, err := ask(ctx, "GET", url+"/metrics", "")
	if err != nil {
		return nil, err
	}
	return parse(text)
}

func ask(ctx context.Context, method, url, body string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

func parse(text string) ([]sample, error) {
	var all []sample
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		name, err := promql.ParseMetric(line[:at])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		b := labels.NewBuilder(name)
		b.Set("job", "gsq").Set("instance", "gsq:8080")
		all = append(all, sample{b.Labels(), value})
	}
	return all, nil
}

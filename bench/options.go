package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gitops-squared.io/gsq/bench/drive"
	"gitops-squared.io/gsq/bench/report"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/internal/toolbox"
)

// options are the program's flags.
type options struct {
	targets  []string
	registry string
	sizes    string
	rounds   int // 0: the sizes' own
	only     *regexp.Regexp
	dir      string
	jsonFile string
	docs     string
	profiles string
}

func parseOptions(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	target := flags.String("target", targetEmbedded+","+targetDistribution, "what to measure, separated by commas: embedded, distribution, or the URL of a registry")
	flags.StringVar(&o.registry, "registry", "", "URL of a registry to measure, instead of --target; what is written there stays")
	flags.StringVar(&o.sizes, "sizes", "full", "full, quick or smoke")
	quick := flags.Bool("quick", false, "the same as --sizes quick")
	flags.IntVar(&o.rounds, "rounds", 0, "how often baseline and product are measured in turn (default: as the sizes say)")
	only := flags.String("only", "", "regular expression: measure only rows whose id it matches, such as embedded/creates")
	flags.StringVar(&o.dir, "dir", "", "folder for the data, below which a temporary one is made (default: the system's)")
	flags.StringVar(&o.jsonFile, "json", "", "file to write the results to")
	flags.StringVar(&o.docs, "write-docs", "", "folder of the documentation to write benchmarks.md and its plots to")
	flags.StringVar(&o.profiles, "profile", "", "folder to write profiles of gsq to; the numbers are worse then")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if *quick {
		o.sizes = "quick"
	}
	if _, ok := chosen(o.sizes, true); !ok {
		return nil, fmt.Errorf("--sizes: %q is not full, quick or smoke", o.sizes)
	}
	if o.rounds < 0 {
		return nil, fmt.Errorf("--rounds: %d is not a number of rounds", o.rounds)
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	if o.registry != "" {
		*target = o.registry
	}
	for t := range strings.SplitSeq(*target, ",") {
		if t != targetEmbedded && t != targetDistribution && !strings.Contains(t, "://") {
			return nil, fmt.Errorf("--target: %q is neither embedded, nor distribution, nor a URL", t)
		}
		o.targets = append(o.targets, t)
	}
	return o, nil
}

// measure measures every target, one after the other, and then has the report
// told. A row that fails is in the report; the error says that none could be
// measured, or is tell's.
func (o *options) measure(ctx context.Context, log io.Writer, tell func(*report.Report) error) (err error) {
	root, err := toolbox.Root()
	if err != nil {
		return err
	}
	remove, err := gsq.Prepare()
	if err != nil {
		return err
	}
	defer remove()
	dir, err := os.MkdirTemp(o.dir, "gsq-bench")
	if err != nil {
		return err
	}
	// At the end, when the report is written: it takes a while.
	defer func() {
		fmt.Fprintln(log, "deleting what was stored")
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o700); err != nil {
			return err
		}
	}
	r := &report.Report{Started: time.Now().UTC().Truncate(time.Second), Sizes: o.sizes, Machine: report.Inspect(dir, root)}
	for _, target := range o.targets {
		s := o.session(target, dir, log)
		r.Rounds = max(r.Rounds, s.sizes.rounds)
		r.Rows = append(r.Rows, s.measureAll(ctx)...)
		r.Plots = append(r.Plots, s.plots...)
		if err := s.closePlaces(); err != nil {
			return err
		}
		s.client.Close()
	}
	r.Took = time.Since(r.Started).Truncate(time.Second)
	return tell(r)
}

func (o *options) session(target, dir string, log io.Writer) *session {
	s := &session{
		target: target, run: strconv.FormatInt(time.Now().Unix(), 36), dir: dir,
		only: o.only, profiles: o.profiles, log: log, client: drive.NewClient(2 * callers),
	}
	s.sizes, _ = chosen(o.sizes, target == targetEmbedded)
	if o.rounds > 0 {
		s.sizes.rounds = o.rounds
	}
	if strings.Contains(target, "://") {
		s.target, s.registryURL = "registry", target
	}
	return s
}

// write writes the files that the options name.
func (o *options) write(r *report.Report) error {
	if o.jsonFile != "" {
		f, err := os.Create(o.jsonFile)
		if err != nil {
			return err
		}
		if err := errors.Join(r.WriteJSON(f), f.Close()); err != nil {
			return err
		}
	}
	if o.docs != "" {
		return r.WriteDocs(o.docs)
	}
	return nil
}

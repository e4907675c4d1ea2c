// Command interop runs the Go client of Apache RocketMQ, unchanged, against a name server and tells
// which of its features work there.
//
//	go run . -namesrv 127.0.0.1:9876                 every case
//	go run . -namesrv 127.0.0.1:9876 -cases retry,tags
//	go run . -list
//
// The cases run side by side, each on topics and groups of its own, each with a time limit. The last
// line is `INTEROP go passed=… failed=… | case=ok case=FAIL …`; the exit code is 1 if a case failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// A case that ends with nil has proven its feature.
type testCase struct {
	name  string
	about string
	limit time.Duration
	run   func(*bench) error
}

var cases = []testCase{
	{"admin", "create, list and delete a topic; list the groups", 20 * time.Second, adminCase},
	{"sync", "synchronous sends arrive", 40 * time.Second, syncCase},
	{"async", "asynchronous sends are answered and arrive", 40 * time.Second, asyncCase},
	{"oneway", "one-way sends arrive", 40 * time.Second, onewayCase},
	{"batch", "a batch arrives as single messages", 40 * time.Second, batchCase},
	{"large", "a large body is compressed and arrives whole", 40 * time.Second, largeCase},
	{"push", "offsets outlive the consumer", 60 * time.Second, pushCase},
	{"pull", "a queue is read by offset", 30 * time.Second, pullCase},
	{"tags", "a tag expression filters", 40 * time.Second, tagsCase},
	{"sql", "an SQL92 expression filters", 40 * time.Second, sqlCase},
	{"delay", "a delay level delays", 40 * time.Second, delayCase},
	{"retry", "a failing message comes again and ends as a dead letter", 70 * time.Second, retryCase},
	{"order", "ordered consumption keeps the order through a failure", 60 * time.Second, orderCase},
	{"broadcast", "every member of a broadcast group gets every message", 60 * time.Second, broadcastCase},
	{"reply", "a request is answered by a consumer", 60 * time.Second, replyCase},
	{"transaction", "commit, roll-back and check-back", 75 * time.Second, transactionCase},
	{"trace", "send and consumption leave a trace", 60 * time.Second, traceCase},
}

func main() {
	namesrv := flag.String("namesrv", "", "name server, HOST:PORT")
	only := flag.String("cases", "", "comma-separated names of the cases to run; default all")
	skip := flag.String("skip", "", "comma-separated names of the cases to leave out")
	list := flag.Bool("list", false, "list the cases")
	level := flag.String("log", "fatal", "level of the client's own log")
	flag.Parse()
	if *list {
		for _, c := range cases {
			fmt.Printf("%-12s %s\n", c.name, c.about)
		}
		return
	}
	chosen, err := choose(*only, *skip)
	if err == nil && *namesrv == "" {
		err = fmt.Errorf("-namesrv is needed")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	rlog.SetLogLevel(*level)
	if !report(runAll(*namesrv, chosen)) {
		os.Exit(1)
	}
}

func choose(only, skip string) ([]testCase, error) {
	wanted, err := names(only)
	if err != nil {
		return nil, err
	}
	unwanted, err := names(skip)
	if err != nil {
		return nil, err
	}
	var chosen []testCase
	for _, c := range cases {
		if (len(wanted) == 0 || wanted[c.name]) && !unwanted[c.name] {
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

func names(list string) (map[string]bool, error) {
	set := map[string]bool{}
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		known := false
		for _, c := range cases {
			known = known || c.name == name
		}
		if !known {
			return nil, fmt.Errorf("there is no case %q; -list shows them", name)
		}
		set[name] = true
	}
	return set, nil
}

type outcome struct {
	name string
	err  error
	took time.Duration
}

func runAll(namesrv string, chosen []testCase) []outcome {
	outcomes := make([]outcome, len(chosen))
	run := time.Now().UnixMilli()
	var all sync.WaitGroup
	for i, c := range chosen {
		all.Add(1)
		go func(i int, c testCase) {
			defer all.Done()
			from := time.Now()
			err := limited(namesrv, run, c)
			outcomes[i] = outcome{c.name, err, time.Since(from)}
		}(i, c)
	}
	all.Wait()
	return outcomes
}

// limited runs a case and gives up on it at its limit, even if the client hangs.
func limited(namesrv string, run int64, c testCase) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.limit)
	defer cancel()
	b := &bench{ctx: ctx, namesrv: namesrv, name: c.name, run: run}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if panicked := recover(); panicked != nil {
				done <- fmt.Errorf("panic: %v", panicked)
			}
		}()
		done <- c.run(b)
	}()
	var err error
	select {
	case err = <-done:
	case <-time.After(c.limit + time.Second):
		err = fmt.Errorf("hangs after %v", c.limit)
	}
	b.close()
	return err
}

func report(outcomes []outcome) bool {
	passed, failed := 0, 0
	var words []string
	for _, o := range outcomes {
		if o.err == nil {
			passed++
			words = append(words, o.name+"=ok")
			fmt.Printf("  ok    %-12s %5.1f s\n", o.name, o.took.Seconds())
		} else {
			failed++
			words = append(words, o.name+"=FAIL")
			fmt.Printf("  FAIL  %-12s %5.1f s  %v\n", o.name, o.took.Seconds(), o.err)
		}
	}
	fmt.Printf("INTEROP go passed=%d failed=%d | %s\n", passed, failed, strings.Join(words, " "))
	return failed == 0
}

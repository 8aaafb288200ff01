// A member of a group as the Go project's are: kafka-go with its default strategies, which commits what it has read.
//
// It writes `partition offset value`, a line a record, and leaves the group when its standard input ends.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/segmentio/kafka-go"
)

func main() {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers:           []string{os.Args[1]},
		Topic:             os.Args[2],
		GroupID:           os.Args[3],
		HeartbeatInterval: 500 * time.Millisecond,
		SessionTimeout:    6 * time.Second,
		MaxWait:           100 * time.Millisecond,
		ErrorLogger:       kafka.LoggerFunc(complain),
	})
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	out := bufio.NewWriter(os.Stdout)
	for {
		record, err := reader.ReadMessage(ctx)
		if err != nil {
			break
		}
		fmt.Fprintf(out, "%d %d %s\n", record.Partition, record.Offset, record.Value)
		out.Flush()
	}
	reader.Close()
}

func complain(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// Package core has what the documents' Go uses of the Go project: signatures, and nothing behind them.
package core

type DelayQueueResult struct {
	Data   any
	Status bool
}

type DelayQueuePushParams struct {
	Name, ExecCmd, Params string
	DelayTime             int64
	ExecTime              int
}

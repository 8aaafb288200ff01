package crontab

type Result struct {
	Status int
	Data   any
}

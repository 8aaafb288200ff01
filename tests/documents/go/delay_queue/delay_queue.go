package delayqueue

import "simplest_script/core"

type DelayQueue struct{}

func NewDelayQueue() *DelayQueue { return &DelayQueue{} }

func (*DelayQueue) Push([]core.DelayQueuePushParams) {}

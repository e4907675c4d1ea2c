package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// brokerAddr finds the broker by a send to a topic that does not exist yet: the answer's id tells.
func (b *bench) brokerAddr() (string, error) {
	p, err := rocketmq.NewProducer(producer.WithGroupName(b.group("probe")),
		producer.WithInstanceName(b.instance()), producer.WithNsResolver(b.resolver()))
	if err != nil {
		return "", err
	}
	if err := p.Start(); err != nil {
		return "", err
	}
	b.onClose(func() { _ = p.Shutdown() })
	result, err := b.send(p, primitive.NewMessage(b.topic("probe"), []byte("where are you")))
	if err != nil {
		return "", err
	}
	id, err := primitive.UnmarshalMsgID([]byte(result.OffsetMsgID))
	if err != nil {
		return "", fmt.Errorf("offset id %q: %w", result.OffsetMsgID, err)
	}
	return fmt.Sprintf("%s:%d", id.Addr, id.Port), nil
}

func adminCase(b *bench) error {
	topic := b.topic("t")
	if err := b.createTopic(topic, 3); err != nil {
		return err
	}
	a, err := admin.NewAdmin(admin.WithResolver(b.resolver()))
	if err != nil {
		return err
	}
	defer a.Close()
	queues, err := a.FetchPublishMessageQueues(b.ctx, topic)
	if err != nil || len(queues) != 3 {
		return fmt.Errorf("%d queues instead of 3: %v", len(queues), err)
	}
	listed := func() bool {
		topics, err := a.FetchAllTopicList(b.ctx)
		return err == nil && strings.Contains(" "+strings.Join(topics.TopicList, " ")+" ", " "+topic+" ")
	}
	if err := b.until("the topic in the list", listed); err != nil {
		return err
	}
	broker, err := b.brokerAddr()
	if err != nil {
		return err
	}
	groups, err := a.GetAllSubscriptionGroup(b.ctx, broker, 5*time.Second)
	if err != nil || len(groups.SubscriptionGroupTable) == 0 {
		return fmt.Errorf("groups %v: %v", groups, err)
	}
	err = a.DeleteTopic(b.ctx, admin.WithTopicDelete(topic), admin.WithBrokerAddrDelete(broker),
		admin.WithNameSrvAddr([]string{b.namesrv}))
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return b.until("the topic out of the list", func() bool { return !listed() })
}

// arrives sends by a function and expects every text once at a consumer.
func (b *bench) arrives(send func(rocketmq.Producer, string, []string) error) error {
	topic, texts := b.topic("t"), numbered("m", 8)
	if err := b.createTopic(topic, 4); err != nil {
		return err
	}
	p, err := b.producer()
	if err != nil {
		return err
	}
	if err := send(p, topic, texts); err != nil {
		return err
	}
	in := newInbox()
	if _, err := b.consumer(b.group("c"), topic, everything, in.listen); err != nil {
		return err
	}
	return b.exactly(in, texts...)
}

func syncCase(b *bench) error {
	return b.arrives(func(p rocketmq.Producer, topic string, texts []string) error {
		return b.sendAll(p, topic, texts...)
	})
}

func asyncCase(b *bench) error {
	return b.arrives(func(p rocketmq.Producer, topic string, texts []string) error {
		answers := make(chan error, len(texts))
		for _, text := range texts {
			err := p.SendAsync(b.ctx, func(_ context.Context, r *primitive.SendResult, err error) {
				if err == nil && r.Status != primitive.SendOK {
					err = fmt.Errorf("answered %v", r)
				}
				answers <- err
			}, primitive.NewMessage(topic, []byte(text)))
			if err != nil {
				return err
			}
		}
		for range texts {
			select {
			case err := <-answers:
				if err != nil {
					return err
				}
			case <-b.ctx.Done():
				return fmt.Errorf("no answer to an asynchronous send")
			}
		}
		return nil
	})
}

func onewayCase(b *bench) error {
	return b.arrives(func(p rocketmq.Producer, topic string, texts []string) error {
		for _, text := range texts {
			if err := p.SendOneWay(b.ctx, primitive.NewMessage(topic, []byte(text))); err != nil {
				return err
			}
		}
		return nil
	})
}

func batchCase(b *bench) error {
	return b.arrives(func(p rocketmq.Producer, topic string, texts []string) error {
		var batch []*primitive.Message
		for _, text := range texts {
			batch = append(batch, primitive.NewMessage(topic, []byte(text)))
		}
		result, err := b.send(p, batch...)
		if err != nil {
			return err
		}
		if ids := strings.Count(result.OffsetMsgID, ",") + 1; ids != len(texts) {
			return fmt.Errorf("%d ids for %d messages", ids, len(texts))
		}
		return nil
	})
}

func largeCase(b *bench) error {
	body := strings.Repeat("0123456789abcdef", 64*1024)
	topic := b.topic("t")
	if err := b.createTopic(topic, 1); err != nil {
		return err
	}
	p, err := b.producer(producer.WithCompressMsgBodyOverHowmuch(4096))
	if err != nil {
		return err
	}
	if _, err := b.send(p, primitive.NewMessage(topic, []byte(body))); err != nil {
		return err
	}
	in := newInbox()
	if _, err := b.consumer(b.group("c"), topic, everything, in.listen); err != nil {
		return err
	}
	return b.until("the large body", func() bool { return in.has(body) })
}

func pushCase(b *bench) error {
	topic, group := b.topic("t"), b.group("c")
	if err := b.createTopic(topic, 2); err != nil {
		return err
	}
	p, err := b.producer()
	if err != nil {
		return err
	}
	for round := 0; round < 3; round++ {
		texts := numbered(fmt.Sprintf("r%d-", round), 4)
		if err := b.sendAll(p, topic, texts...); err != nil {
			return err
		}
		in := newInbox()
		end, err := b.consumer(group, topic, everything, in.listen)
		if err != nil {
			return err
		}
		if err := b.exactly(in, texts...); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		end()
	}
	return nil
}

func pullCase(b *bench) error {
	topic, texts := b.topic("t"), numbered("m", 10)
	if err := b.createTopic(topic, 1); err != nil {
		return err
	}
	p, err := b.producer()
	if err != nil {
		return err
	}
	var queue *primitive.MessageQueue
	for _, text := range texts {
		result, err := b.send(p, primitive.NewMessage(topic, []byte(text)))
		if err != nil {
			return err
		}
		queue = result.MessageQueue
	}
	c, err := rocketmq.NewPullConsumer(consumer.WithGroupName(b.group("c")),
		consumer.WithInstance(b.instance()), consumer.WithNsResolver(b.resolver()))
	if err != nil {
		return err
	}
	if err := c.Subscribe(topic, everything); err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	b.onClose(func() { _ = c.Shutdown() })
	result, err := c.PullFrom(b.ctx, queue, 3, 4)
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	var got []string
	for _, m := range result.GetMessageExts() {
		got = append(got, string(m.Body))
	}
	if strings.Join(got, " ") != "m3 m4 m5 m6" || result.MaxOffset != 10 || result.NextBeginOffset != 7 {
		return fmt.Errorf("pulled %v, next %d, max %d", got, result.NextBeginOffset, result.MaxOffset)
	}
	result, err = c.PullFrom(b.ctx, queue, 99, 4)
	if err != nil || result.Status != primitive.PullOffsetIllegal {
		return fmt.Errorf("a pull beyond the end answered %v, %v", result, err)
	}
	return nil
}

func tagsCase(b *bench) error {
	filter := consumer.MessageSelector{Type: consumer.TAG, Expression: "red || blue"}
	return b.filtered(filter, func(m *primitive.Message, i int) { m.WithTag([]string{"red", "green", "blue"}[i%3]) },
		"m0", "m2", "m3", "m5")
}

func sqlCase(b *bench) error {
	filter := consumer.MessageSelector{Type: consumer.SQL92, Expression: "n BETWEEN 1 AND 3 AND colour IN ('red','blue')"}
	return b.filtered(filter, func(m *primitive.Message, i int) {
		m.WithProperty("n", strconv.Itoa(i))
		m.WithProperty("colour", []string{"red", "green", "blue"}[i%3])
	}, "m2", "m3")
}

func (b *bench) filtered(filter consumer.MessageSelector, mark func(*primitive.Message, int), want ...string) error {
	topic := b.topic("t")
	if err := b.createTopic(topic, 2); err != nil {
		return err
	}
	p, err := b.producer()
	if err != nil {
		return err
	}
	in := newInbox()
	if _, err := b.consumer(b.group("c"), topic, filter, in.listen); err != nil {
		return err
	}
	for i, text := range numbered("m", 6) {
		m := primitive.NewMessage(topic, []byte(text))
		mark(m, i)
		if _, err := b.send(p, m); err != nil {
			return err
		}
	}
	return b.exactly(in, want...)
}

func delayCase(b *bench) error {
	topic := b.topic("t")
	if err := b.createTopic(topic, 1); err != nil {
		return err
	}
	p, err := b.producer()
	if err != nil {
		return err
	}
	arrived := make(chan time.Time, 4)
	_, err = b.consumer(b.group("c"), topic, everything, func(context.Context, *primitive.MessageExt) consumer.ConsumeResult {
		arrived <- time.Now()
		return consumer.ConsumeSuccess
	})
	if err != nil {
		return err
	}
	// One message without a delay shows that the consumer is at work.
	if _, err := b.send(p, primitive.NewMessage(topic, []byte("now"))); err != nil {
		return err
	}
	if _, err := b.next(arrived); err != nil {
		return fmt.Errorf("without a delay: %w", err)
	}
	sent := time.Now()
	if _, err := b.send(p, primitive.NewMessage(topic, []byte("later")).WithDelayTimeLevel(1)); err != nil {
		return err
	}
	at, err := b.next(arrived)
	if err != nil {
		return fmt.Errorf("with a delay: %w", err)
	}
	if late := at.Sub(sent); late < 900*time.Millisecond || late > 6*time.Second {
		return fmt.Errorf("delay level 1 took %v", late)
	}
	return nil
}

func (b *bench) next(arrived <-chan time.Time) (time.Time, error) {
	select {
	case at := <-arrived:
		return at, nil
	case <-b.ctx.Done():
		return time.Time{}, fmt.Errorf("the message did not arrive")
	}
}

// retryCase starts the group once before: the client looks for the retry topic only at its start and
// then every 30 s.
func retryCase(b *bench) error {
	topic, group := b.topic("t"), b.group("c")
	if err := b.createTopic(topic, 1); err != nil {
		return err
	}
	end, err := b.consumer(group, topic, everything, newInbox().listen)
	if err != nil {
		return err
	}
	if err := b.routed("%RETRY%" + group); err != nil {
		return err
	}
	end()
	p, err := b.producer()
	if err != nil {
		return err
	}
	if err := b.sendAll(p, topic, "good", "bad"); err != nil {
		return err
	}
	in := newInbox()
	_, err = b.consumer(group, topic, everything, func(ctx context.Context, m *primitive.MessageExt) consumer.ConsumeResult {
		in.put(fmt.Sprintf("%s/%d/%s", m.Body, m.ReconsumeTimes, m.Topic))
		if string(m.Body) == "good" {
			return consumer.ConsumeSuccess
		}
		if c, ok := primitive.GetConcurrentlyCtx(ctx); ok {
			c.DelayLevelWhenNextConsume = 1
		}
		return consumer.ConsumeRetryLater
	}, consumer.WithMaxReconsumeTimes(2))
	if err != nil {
		return err
	}
	want := []string{"good/0/" + topic, "bad/0/" + topic, "bad/1/" + topic, "bad/2/" + topic}
	if err := b.exactly(in, want...); err != nil {
		return err
	}
	dead := "%DLQ%" + group
	if err := b.routed(dead); err != nil {
		return err
	}
	letters := newInbox()
	_, err = b.consumer(b.group("dead"), dead, everything, func(_ context.Context, m *primitive.MessageExt) consumer.ConsumeResult {
		letters.put(fmt.Sprintf("%s from %s", m.Body, m.GetProperty(primitive.PropertyRetryTopic)))
		return consumer.ConsumeSuccess
	})
	if err != nil {
		return err
	}
	return b.exactly(letters, "bad from "+topic)
}

func orderCase(b *bench) error {
	const keys, each = 3, 6
	topic := b.topic("t")
	if err := b.createTopic(topic, 4); err != nil {
		return err
	}
	p, err := b.producer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
	if err != nil {
		return err
	}
	for i := 0; i < each; i++ {
		for key := 0; key < keys; key++ {
			m := primitive.NewMessage(topic, []byte(fmt.Sprintf("%d:%d", key, i)))
			if _, err := b.send(p, m.WithShardingKey(strconv.Itoa(key))); err != nil {
				return err
			}
		}
	}
	in, tried := newInbox(), newInbox()
	_, err = b.consumer(b.group("c"), topic, everything, func(_ context.Context, m *primitive.MessageExt) consumer.ConsumeResult {
		text := string(m.Body)
		// The third message of each key fails once: the queue has to wait for it.
		if tried.put(text) == 1 && strings.HasSuffix(text, ":2") {
			return consumer.SuspendCurrentQueueAMoment
		}
		in.put(text)
		return consumer.ConsumeSuccess
	}, consumer.WithConsumerOrder(true), consumer.WithSuspendCurrentQueueTimeMillis(200*time.Millisecond))
	if err != nil {
		return err
	}
	var all []string
	for key := 0; key < keys; key++ {
		all = append(all, numbered(fmt.Sprintf("%d:", key), each)...)
	}
	if err := b.exactly(in, all...); err != nil {
		return err
	}
	next := map[string]int{}
	for _, text := range in.texts() {
		key, number, _ := strings.Cut(text, ":")
		if number != strconv.Itoa(next[key]) {
			return fmt.Errorf("out of order: %v", in.texts())
		}
		next[key]++
	}
	return nil
}

func broadcastCase(b *bench) error {
	topic, group, texts := b.topic("t"), b.group("c"), numbered("m", 5)
	if err := b.createTopic(topic, 2); err != nil {
		return err
	}
	inboxes := []*inbox{newInbox(), newInbox()}
	for _, in := range inboxes {
		_, err := b.consumer(group, topic, everything, in.listen, consumer.WithConsumerModel(consumer.BroadCasting))
		if err != nil {
			return err
		}
	}
	p, err := b.producer()
	if err != nil {
		return err
	}
	if err := b.sendAll(p, topic, texts...); err != nil {
		return err
	}
	for i, in := range inboxes {
		if err := b.exactly(in, texts...); err != nil {
			return fmt.Errorf("member %d: %w", i, err)
		}
	}
	return nil
}

// replyCase shares one client between requester and consumer, so that the heartbeat at the
// consumer's start also tells the broker of the requester.
func replyCase(b *bench) error {
	topic, instance := b.topic("t"), b.instance()
	if err := b.createTopic(topic, 1); err != nil {
		return err
	}
	asker, err := b.producer(producer.WithInstanceName(instance))
	if err != nil {
		return err
	}
	if err := b.sendAll(asker, topic, "not a request"); err != nil {
		return err
	}
	answerer, err := b.producer(producer.WithGroupName(b.group("answer")))
	if err != nil {
		return err
	}
	var wrong sync.Map
	_, err = b.consumer(b.group("c"), topic, everything, func(ctx context.Context, m *primitive.MessageExt) consumer.ConsumeResult {
		if consumer.GetReplyToClient(m) == "" {
			return consumer.ConsumeSuccess
		}
		reply, err := consumer.CreateReplyMessage(m, nil)
		if err == nil {
			// The client takes the text for properties and leaves the body empty.
			reply.Body = append([]byte("re: "), m.Body...)
			_, err = answerer.SendSync(ctx, reply)
		}
		if err != nil {
			wrong.Store(err.Error(), true)
		}
		return consumer.ConsumeSuccess
	}, consumer.WithInstance(instance))
	if err != nil {
		return err
	}
	var last error
	for tries := 0; tries < 8; tries++ {
		answer, err := asker.Request(b.ctx, 5*time.Second, primitive.NewMessage(topic, []byte("ping")))
		if err == nil && answer != nil {
			if string(answer.Body) != "re: ping" {
				return fmt.Errorf("answered %q", answer.Body)
			}
			return nil
		}
		last = err
	}
	wrong.Range(func(key, _ any) bool { last = fmt.Errorf("%v; reply: %v", last, key); return true })
	return fmt.Errorf("no answer: %v", last)
}

// decider is the local side of a transaction: what the text says.
type decider struct{ checked *inbox }

func (d decider) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	switch string(m.Body) {
	case "commit":
		return primitive.CommitMessageState
	case "rollback":
		return primitive.RollbackMessageState
	default:
		return primitive.UnknowState
	}
}

func (d decider) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	d.checked.put(string(m.Body))
	if string(m.Body) == "check-commit" {
		return primitive.CommitMessageState
	}
	return primitive.RollbackMessageState
}

func transactionCase(b *bench) error {
	topic, instance := b.topic("t"), b.instance()
	if err := b.createTopic(topic, 1); err != nil {
		return err
	}
	checked := newInbox()
	p, err := rocketmq.NewTransactionProducer(decider{checked}, producer.WithGroupName(b.group("p")),
		producer.WithInstanceName(instance), producer.WithNsResolver(b.resolver()))
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	b.onClose(func() { _ = p.Shutdown() })
	for _, text := range []string{"commit", "rollback", "check-commit", "check-rollback"} {
		result, err := p.SendMessageInTransaction(b.ctx, primitive.NewMessage(topic, []byte(text)))
		if err != nil || result.Status != primitive.SendOK {
			return fmt.Errorf("half message %s: %v, %v", text, result, err)
		}
	}
	in := newInbox()
	if _, err := b.consumer(b.group("c"), topic, everything, in.listen, consumer.WithInstance(instance)); err != nil {
		return err
	}
	if err := b.until("the committed message", func() bool { return in.has("commit") }); err != nil {
		return err
	}
	if err := b.until("a check of both undecided messages", func() bool {
		return checked.has("check-commit", "check-rollback")
	}); err != nil {
		return err
	}
	return b.exactly(in, "commit", "check-commit")
}

func traceCase(b *bench) error {
	topic, group := b.topic("t"), b.group("c")
	if err := b.createTopic(topic, 1); err != nil {
		return err
	}
	trace := &primitive.TraceConfig{Access: primitive.Local, Resolver: b.resolver(), GroupName: b.group("trace")}
	in := newInbox()
	if _, err := b.consumer(group, topic, everything, in.listen, consumer.WithTrace(trace)); err != nil {
		return err
	}
	p, err := b.producer(producer.WithTrace(trace))
	if err != nil {
		return err
	}
	result, err := b.send(p, primitive.NewMessage(topic, []byte("traced")).WithKeys([]string{"key-of-it"}))
	if err != nil {
		return err
	}
	if err := b.until("the message", func() bool { return in.has("traced") }); err != nil {
		return err
	}
	kinds := newInbox()
	_, err = b.consumer(b.group("reader"), "RMQ_SYS_TRACE_TOPIC", everything, func(_ context.Context, m *primitive.MessageExt) consumer.ConsumeResult {
		for _, record := range strings.Split(string(m.Body), "\x02") {
			if strings.Contains(record, result.MsgID) {
				kind, _, _ := strings.Cut(record, "\x01")
				kinds.put(kind)
			}
		}
		return consumer.ConsumeSuccess
	})
	if err != nil {
		return err
	}
	err = b.until("traces of send and consumption", func() bool { return kinds.has("Pub", "SubBefore", "SubAfter") })
	if err != nil {
		return fmt.Errorf("%w; there are %v", err, kinds.texts())
	}
	return nil
}

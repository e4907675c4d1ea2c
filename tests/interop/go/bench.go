package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// bench is what one case works with: names of its own and clients that are closed after it.
type bench struct {
	ctx     context.Context
	namesrv string
	name    string
	run     int64

	mu     sync.Mutex
	closes []func()
	made   int
}

func (b *bench) resolver() primitive.NsResolver {
	return primitive.NewPassthroughResolver([]string{b.namesrv})
}

// topic is a name that nobody else uses.
func (b *bench) topic(what string) string {
	return fmt.Sprintf("go-%s-%s-%d", b.name, what, b.run)
}

func (b *bench) group(what string) string {
	return fmt.Sprintf("gog-%s-%s-%d", b.name, what, b.run)
}

// instance is a client id of its own: clients with the same one share connections and heartbeats.
func (b *bench) instance() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made++
	return fmt.Sprintf("%s-%d-%d", b.name, b.made, b.run)
}

func (b *bench) onClose(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closes = append(b.closes, f)
}

// close ends every client that is still open; a client that hangs at its end is left behind.
func (b *bench) close() {
	b.mu.Lock()
	closes := b.closes
	b.closes = nil
	b.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := len(closes) - 1; i >= 0; i-- {
			closes[i]()
		}
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
	}
}

// createTopic makes a topic and waits until the name server knows it.
func (b *bench) createTopic(topic string, queues int) error {
	a, err := admin.NewAdmin(admin.WithResolver(b.resolver()))
	if err != nil {
		return err
	}
	defer a.Close()
	broker, err := b.brokerAddr()
	if err != nil {
		return err
	}
	err = a.CreateTopic(b.ctx, admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(broker),
		admin.WithReadQueueNums(queues), admin.WithWriteQueueNums(queues))
	if err != nil {
		return fmt.Errorf("create topic %s: %w", topic, err)
	}
	return b.routed(topic)
}

// routed waits until the name server has a route of the topic.
func (b *bench) routed(topic string) error {
	a, err := admin.NewAdmin(admin.WithResolver(b.resolver()))
	if err != nil {
		return err
	}
	defer a.Close()
	return b.until("a route of "+topic, func() bool {
		queues, err := a.FetchPublishMessageQueues(b.ctx, topic)
		return err == nil && len(queues) > 0
	})
}

func (b *bench) until(what string, holds func() bool) error {
	for !holds() {
		select {
		case <-b.ctx.Done():
			return fmt.Errorf("in vain: %s", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

func (b *bench) producer(options ...producer.Option) (rocketmq.Producer, error) {
	all := append([]producer.Option{
		producer.WithGroupName(b.group("p")),
		producer.WithInstanceName(b.instance()),
		producer.WithNsResolver(b.resolver()),
		producer.WithRetry(2),
	}, options...)
	p, err := rocketmq.NewProducer(all...)
	if err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("start the producer: %w", err)
	}
	b.onClose(func() { _ = p.Shutdown() })
	return p, nil
}

type listener func(context.Context, *primitive.MessageExt) consumer.ConsumeResult

// consumer starts a push consumer from the first offset; the function returned ends it.
func (b *bench) consumer(group, topic string, filter consumer.MessageSelector, listen listener,
	options ...consumer.Option) (func(), error) {
	all := append([]consumer.Option{
		consumer.WithGroupName(group),
		consumer.WithInstance(b.instance()),
		consumer.WithNsResolver(b.resolver()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}, options...)
	c, err := rocketmq.NewPushConsumer(all...)
	if err != nil {
		return nil, err
	}
	err = c.Subscribe(topic, filter, func(ctx context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		result := consumer.ConsumeSuccess
		for _, m := range msgs {
			if r := listen(ctx, m); r != consumer.ConsumeSuccess {
				result = r
			}
		}
		return result, nil
	})
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("start the consumer: %w", err)
	}
	var once sync.Once
	end := func() { once.Do(func() { _ = c.Shutdown() }) }
	b.onClose(end)
	return end, nil
}

var everything = consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}

// inbox remembers how often each text arrived, and in which order.
type inbox struct {
	mu    sync.Mutex
	order []string
	count map[string]int
}

func newInbox() *inbox { return &inbox{count: map[string]int{}} }

func (i *inbox) put(text string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.order = append(i.order, text)
	i.count[text]++
	return i.count[text]
}

func (i *inbox) listen(_ context.Context, m *primitive.MessageExt) consumer.ConsumeResult {
	i.put(string(m.Body))
	return consumer.ConsumeSuccess
}

func (i *inbox) texts() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.order...)
}

func (i *inbox) has(texts ...string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, text := range texts {
		if i.count[text] == 0 {
			return false
		}
	}
	return true
}

// exactly waits for the texts and then a moment more: nothing else and nothing twice may arrive.
func (b *bench) exactly(i *inbox, texts ...string) error {
	if err := b.until("all of "+strings.Join(texts, " "), func() bool { return i.has(texts...) }); err != nil {
		return fmt.Errorf("%w; arrived: %v", err, i.texts())
	}
	time.Sleep(time.Second)
	got := i.texts()
	sort.Strings(got)
	want := append([]string(nil), texts...)
	sort.Strings(want)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		return fmt.Errorf("arrived %v instead of %v", got, want)
	}
	return nil
}

func numbered(prefix string, n int) []string {
	var texts []string
	for i := 0; i < n; i++ {
		texts = append(texts, fmt.Sprintf("%s%d", prefix, i))
	}
	return texts
}

// sendAll sends each text and checks the answer.
func (b *bench) sendAll(p rocketmq.Producer, topic string, texts ...string) error {
	for _, text := range texts {
		if _, err := b.send(p, primitive.NewMessage(topic, []byte(text))); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) send(p rocketmq.Producer, messages ...*primitive.Message) (*primitive.SendResult, error) {
	result, err := p.SendSync(b.ctx, messages...)
	if err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	// The client itself leaves the id of a batch empty.
	if result.Status != primitive.SendOK || result.OffsetMsgID == "" || result.MessageQueue == nil {
		return nil, fmt.Errorf("send answered %v", result)
	}
	return result, nil
}

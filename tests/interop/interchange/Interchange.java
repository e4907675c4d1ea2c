// Interchange fill|check NAMESRV MANIFEST ROUND: writes one round of messages and notes every one, or compares all
// that was ever noted with what the broker of the moment has. The stock client of Apache RocketMQ 5.5.0.
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.store.ReadOffsetType;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

public class Interchange {
    static final String TOPIC = "Interchange", LATE = "InterchangeLate", GROUP = "InterchangeGroup";
    static final int PLAIN = 1500, BATCHES = 20, BATCH = 10, EACH_LEVEL = 5;
    static int wrong;

    public static void main(String[] args) throws Exception {
        Path manifest = Path.of(args[2]);
        try {
            if (args[0].equals("fill")) fill(args[1], manifest, Integer.parseInt(args[3]));
            else check(args[1], manifest, Integer.parseInt(args[3]));
        } catch (Exception error) { // threads of the client would keep the process alive
            error.printStackTrace(System.out);
            wrong++;
        }
        System.exit(wrong == 0 ? 0 : 1);
    }

    static void fill(String namesrv, Path manifest, int round) throws Exception {
        List<String> notes = new ArrayList<>();
        DefaultMQProducer producer = new DefaultMQProducer("InterchangeProducer");
        producer.setNamesrvAddr(namesrv);
        producer.setSendMsgTimeout(10_000);
        producer.start();
        for (int i = 0; i < PLAIN; i++) {
            Message message = message(TOPIC, round, "p" + i, 200 + i % 1700);
            message.setTags("Tag" + i % 3);
            note(notes, message, producer.send(message));
        }
        for (int b = 0; b < BATCHES; b++) {
            List<Message> batch = new ArrayList<>();
            for (int i = 0; i < BATCH; i++) batch.add(message(TOPIC, round, "b" + b + "-" + i, 300));
            SendResult sent = producer.send(batch);
            String[] ids = sent.getMsgId().split(","), places = sent.getOffsetMsgId().split(",");
            for (int i = 0; i < BATCH; i++) {
                notes.add(String.join(" ", "message", batch.get(i).getKeys(), "" + sent.getMessageQueue().getQueueId(),
                    "" + (sent.getQueueOffset() + i), ids[i], places[i], "" + batch.get(i).getBody().length));
            }
        }
        for (int level : new int[] {2, 4, 5}) {
            for (int i = 0; i < EACH_LEVEL; i++) {
                Message message = message(LATE, round, "d" + level + "-" + i, 100);
                message.setDelayTimeLevel(level);
                if (producer.send(message).getSendStatus() != SendStatus.SEND_OK) bad("not sent: " + message);
                notes.add("late " + message.getKeys());
            }
        }
        producer.shutdown();
        DefaultMQPullConsumer consumer = consumer(namesrv);
        for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(TOPIC)) {
            consumer.pull(queue, "*", 0, 1); // makes the group
            long offset = consumer.maxOffset(queue) * round / (round + 3);
            consumer.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(queue, offset, false);
            notes.add("offset " + queue.getQueueId() + " " + offset);
        }
        consumer.shutdown();
        Files.write(manifest, notes, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        System.out.println("round " + round + ": " + notes.size() + " notes");
    }

    static Message message(String topic, int round, String name, int length) {
        String key = "r" + round + "-" + name;
        byte[] body = (key + " " + "x".repeat(length)).getBytes(StandardCharsets.UTF_8);
        return new Message(topic, null, key, body);
    }

    static void note(List<String> notes, Message message, SendResult sent) {
        if (sent.getSendStatus() != SendStatus.SEND_OK) bad("not sent: " + sent);
        notes.add(String.join(" ", "message", message.getKeys(), "" + sent.getMessageQueue().getQueueId(),
            "" + sent.getQueueOffset(), sent.getMsgId(), sent.getOffsetMsgId(), "" + message.getBody().length));
    }

    static DefaultMQPullConsumer consumer(String namesrv) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(GROUP);
        consumer.setNamesrvAddr(namesrv);
        consumer.start();
        return consumer;
    }

    static void check(String namesrv, Path manifest, int round) throws Exception {
        DefaultMQPullConsumer consumer = consumer(namesrv);
        Map<Integer, MessageQueue> queues = new TreeMap<>();
        for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(TOPIC)) queues.put(queue.getQueueId(), queue);
        Map<Integer, Map<Long, MessageExt>> found = new HashMap<>();
        for (MessageQueue queue : queues.values()) found.put(queue.getQueueId(), drain(consumer, queue));
        Map<Integer, Long> committed = new TreeMap<>();
        List<String> late = new ArrayList<>();
        int messages = 0;
        for (String line : Files.readAllLines(manifest)) {
            String[] note = line.split(" ");
            if (note[0].equals("offset")) committed.put(Integer.parseInt(note[1]), Long.parseLong(note[2]));
            if (note[0].equals("late")) late.add(note[1]);
            if (!note[0].equals("message")) continue;
            MessageExt message = found.get(Integer.parseInt(note[2])).remove(Long.parseLong(note[3]));
            if (!same(message, note)) bad("by offset: " + line + " is " + message);
            messages++;
            if (messages % 7 != 0) continue;
            MessageExt viewed = consumer.viewMessage(TOPIC, note[5]);
            if (!same(viewed, note)) bad("by position: " + line + " is " + viewed);
            List<MessageExt> hits = query(consumer, note[1]);
            if (hits.size() != 1 || !same(hits.get(0), note)) bad("by key: " + line + " is " + hits);
            viewed = byUniqueKey(consumer, note[4]);
            if (!same(viewed, note)) bad("by unique key: " + line + " is " + viewed);
        }
        found.forEach((queue, rest) -> rest.values().forEach(message -> bad("nobody wrote " + message)));
        for (Map.Entry<Integer, Long> entry : committed.entrySet()) {
            long is = consumer.getDefaultMQPullConsumerImpl().getOffsetStore()
                .readOffset(queues.get(entry.getKey()), ReadOffsetType.READ_FROM_STORE);
            if (is != entry.getValue()) bad("offset of queue " + entry + " is " + is);
        }
        Map<String, Integer> delivered = new TreeMap<>();
        long end = System.currentTimeMillis() + 90_000;
        while (delivered.size() < late.size() && System.currentTimeMillis() < end) {
            Thread.sleep(1_000);
            delivered.clear();
            for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(LATE)) {
                drain(consumer, queue).values().forEach(m -> delivered.merge(m.getKeys(), 1, Integer::sum));
            }
        }
        late.removeAll(delivered.keySet());
        late.forEach(key -> bad("never delivered: " + key));
        delivered.values().removeIf(count -> count == 1);
        delivered.forEach((key, count) -> System.out.println("delivered " + count + " times: " + key));
        consumer.shutdown();
        System.out.println("after round " + round + ": " + messages + " messages, " + wrong + " wrong");
    }

    static List<MessageExt> query(DefaultMQPullConsumer consumer, String key) {
        try {
            return consumer.queryMessage(TOPIC, key, 32, 0, Long.MAX_VALUE).getMessageList();
        } catch (Exception error) {
            return List.of();
        }
    }

    static MessageExt byUniqueKey(DefaultMQPullConsumer consumer, String key) {
        try {
            return consumer.getDefaultMQPullConsumerImpl().queryMessageByUniqKey(TOPIC, key);
        } catch (Exception error) {
            return null;
        }
    }

    static boolean same(MessageExt message, String[] note) {
        return message != null && note[1].equals(message.getKeys()) && note[4].equals(message.getMsgId())
            && message.getQueueId() == Integer.parseInt(note[2]) && message.getQueueOffset() == Long.parseLong(note[3])
            && message.getBody().length == Integer.parseInt(note[6])
            && new String(message.getBody(), StandardCharsets.UTF_8).startsWith(note[1] + " ");
    }

    static Map<Long, MessageExt> drain(DefaultMQPullConsumer consumer, MessageQueue queue) throws Exception {
        Map<Long, MessageExt> all = new TreeMap<>();
        long at = consumer.minOffset(queue);
        while (true) {
            PullResult pulled = consumer.pull(queue, "*", at, 32);
            if (pulled.getPullStatus() == PullStatus.FOUND) {
                pulled.getMsgFoundList().forEach(message -> all.put(message.getQueueOffset(), message));
            } else if (pulled.getNextBeginOffset() <= at) {
                return all;
            }
            at = pulled.getNextBeginOffset();
        }
    }

    static void bad(String what) {
        if (wrong++ < 10) System.out.println("WRONG " + what);
    }
}

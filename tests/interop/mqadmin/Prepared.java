import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.admin.ConsumeStats;
import org.apache.rocketmq.remoting.protocol.body.ClusterInfo;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** The same topics, groups, messages and clients on a cluster, and the names that stand for what differs there. */
final class Prepared implements AutoCloseable {
    private static final long PATIENCE_MS = 30_000;

    final String namesrv;
    final Path files;
    private final Map<String, String> names = new HashMap<>();
    private final Map<String, String> neutral = new LinkedHashMap<>();
    private DefaultMQProducer producer;
    private DefaultMQPushConsumer consumer;

    private interface Condition {
        boolean holds() throws Exception;
    }

    private Prepared(String namesrv, Path files) {
        this.namesrv = namesrv;
        this.files = files;
    }

    static Prepared make(String namesrv, String run, Path files) throws Exception {
        Prepared prepared = new Prepared(namesrv, Files.createDirectories(files));
        DefaultMQAdminExt admin = new DefaultMQAdminExt();
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("prepare");
        admin.start();
        try {
            prepared.name(admin, run);
            prepared.fill(admin, run);
        } finally {
            admin.shutdown();
        }
        return prepared;
    }

    private void name(DefaultMQAdminExt admin, String run) throws Exception {
        until("a broker", () -> !admin.examineBrokerClusterInfo().getBrokerAddrTable().isEmpty());
        ClusterInfo info = admin.examineBrokerClusterInfo();
        BrokerData broker = info.getBrokerAddrTable().values().iterator().next();
        names.put("r", run);
        names.put("ns", namesrv);
        names.put("b", broker.selectBrokerAddr());
        names.put("n", broker.getBrokerName());
        names.put("c", broker.getCluster());
        names.put("t", "CmpT" + run);
        names.put("t2", "CmpU" + run);
        names.put("t3", "CmpV" + run);
        names.put("g", "CmpG" + run);
        names.put("g2", "CmpH" + run);
        names.put("g3", "CmpI" + run);
        names.put("off", "CmpO" + run);
        names.put("p", "CmpP" + run);
        names.put("tmp", files.toString());
        names.put("topics", write("topics.json", "[{\"topicName\":\"CmpW" + run + "\",\"readQueueNums\":1,"
            + "\"writeQueueNums\":1,\"perm\":6}]"));
        names.put("groups", write("groups.json", "[{\"groupName\":\"CmpJ" + run + "\",\"consumeEnable\":true}]"));
        neutral.put(Pattern.quote(files.toString()), "DIR");
        neutral.put(Pattern.quote(names.get("b")), "BROKER_ADDR");
        neutral.put(Pattern.quote(names.get("ns")), "NAMESRV");
        neutral.put("\\b" + Pattern.quote(names.get("c")) + "\\b", "CLUSTER");
        neutral.put("\\b" + Pattern.quote(names.get("n")) + "\\b", "BROKER");
        neutral.put(run, "");
    }

    private String write(String name, String text) throws Exception {
        return Files.writeString(files.resolve(name), text).toString();
    }

    private void fill(DefaultMQAdminExt admin, String run) throws Exception {
        String topic = names.get("t");
        String broker = names.get("b");
        TopicConfig config = new TopicConfig(topic);
        config.setReadQueueNums(2);
        config.setWriteQueueNums(2);
        admin.createAndUpdateTopicConfig(broker, config);
        for (String group : List.of(names.get("g"), names.get("off"))) {
            SubscriptionGroupConfig settings = new SubscriptionGroupConfig();
            settings.setGroupName(group);
            admin.createAndUpdateSubscriptionGroupConfig(broker, settings);
        }
        until("a route of " + topic, () -> !admin.examineTopicRouteInfo(topic).getQueueDatas().isEmpty());
        send(topic);
        for (String group : List.of(names.get("g"), names.get("off"))) {
            // A member finds the retry topic at its start if the group has been there before.
            consumer(group, topic, new AtomicInteger()).shutdown();
            until("a retry topic", () -> !admin.examineTopicRouteInfo("%RETRY%" + group).getQueueDatas().isEmpty());
        }
        consumer = taker(admin, names.get("g"), topic);
        names.put("cid", consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId());
        taker(admin, names.get("off"), topic).shutdown();
        // Away with a lag: two messages of each queue are ahead.
        for (int queue = 0; queue < 2; queue++) {
            admin.updateConsumeOffset(broker, names.get("off"), new MessageQueue(topic, names.get("n"), queue), 1);
        }
        until("a trace", () -> !admin.queryMessage("RMQ_SYS_TRACE_TOPIC", names.get("uid"), 8, 0, Long.MAX_VALUE)
            .getMessageList().isEmpty());
    }

    /** Six messages with keys and two tags, three in each of the two queues, traced. */
    private void send(String topic) throws Exception {
        producer = new DefaultMQProducer(names.get("p"), true, null);
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName("producer");
        producer.start();
        for (int i = 0; i < 6; i++) {
            Message message = new Message(topic, i % 3 == 0 ? "red" : "blue", "key" + i,
                ("body " + i).getBytes(StandardCharsets.UTF_8));
            SendResult result = producer.send(message, new MessageQueue(topic, names.get("n"), i % 2));
            if (i == 0) {
                names.put("uid", result.getMsgId());
                names.put("oid", result.getOffsetMsgId());
            }
        }
    }

    /** A push consumer that stands at the end of both queues and of its retry topic. */
    private DefaultMQPushConsumer taker(DefaultMQAdminExt admin, String group, String topic) throws Exception {
        // Else the offset of the retry topic is there only after its first long poll.
        for (MessageQueue queue : List.of(new MessageQueue(topic, names.get("n"), 0),
            new MessageQueue(topic, names.get("n"), 1), new MessageQueue("%RETRY%" + group, names.get("n"), 0))) {
            admin.updateConsumeOffset(names.get("b"), group, queue, 0);
        }
        AtomicInteger taken = new AtomicInteger();
        DefaultMQPushConsumer made = consumer(group, topic, taken);
        until("six messages", () -> taken.get() >= 6);
        until("no lag", () -> {
            made.getDefaultMQPushConsumerImpl().persistConsumerOffset();
            ConsumeStats stats = admin.examineConsumeStats(group);
            return stats.computeTotalDiff() == 0 && stats.getOffsetTable().size() == 3;
        });
        return made;
    }

    private DefaultMQPushConsumer consumer(String group, String topic, AtomicInteger taken) throws Exception {
        DefaultMQPushConsumer made = new DefaultMQPushConsumer(group);
        made.setNamesrvAddr(namesrv);
        made.setInstanceName("consumer-" + group);
        made.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        made.subscribe(topic, "red || blue");
        made.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            taken.addAndGet(messages.size());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        made.start();
        return made;
    }

    private static void until(String what, Condition condition) throws Exception {
        long end = System.currentTimeMillis() + PATIENCE_MS;
        Exception last = null;
        while (System.currentTimeMillis() < end) {
            try {
                if (condition.holds()) {
                    return;
                }
            } catch (Exception e) {
                last = e;
            }
            Thread.sleep(100);
        }
        throw new IllegalStateException("in vain: " + what, last);
    }

    /** Puts this cluster's names into a word of a command. */
    String fill(String word) {
        String filled = word;
        for (Map.Entry<String, String> name : names.entrySet()) {
            filled = filled.replace("{" + name.getKey() + "}", name.getValue());
        }
        return filled;
    }

    /** A line without what differs between two clusters that behave alike. Codes stay. */
    String neutral(String line) {
        String text = line;
        for (Map.Entry<String, String> name : neutral.entrySet()) {
            text = text.replaceAll(name.getKey(), name.getValue());
        }
        return text.replaceAll("commitLogDiskRatio_\\S+", "commitLogDiskRatio_PATH")
            .replaceAll("\\$\\$Lambda\\S*", "LAMBDA")
            .replaceAll("@[0-9a-f]{5,8}\\b", "@ID")
            .replaceAll("-?\\d+\\.\\d+(E-?\\d+)?", "#")
            .replaceAll("\\b[0-9A-Fa-f]{16,}\\b", "HEX")
            .replaceAll("\\b(19|20)\\d\\d-\\d\\d-\\d\\d[ #T_]?[0-9:,.]*", "DATE")
            .replaceAll("(?<!CODE: )(?<!CODE: \\d)(?<!CODE: \\d\\d)(?<!request type )(?<!request type \\d{1,5})-?\\d+", "#");
    }

    @Override
    public void close() {
        consumer.shutdown();
        producer.shutdown();
    }
}

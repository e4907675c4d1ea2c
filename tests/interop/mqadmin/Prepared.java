import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
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

    static Prepared make(String label, String namesrv, String run, Path files) throws Exception {
        Prepared prepared = new Prepared(namesrv, Files.createDirectories(files));
        DefaultMQAdminExt admin = new DefaultMQAdminExt();
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("prepare-" + label);
        admin.start();
        try {
            prepared.name(admin, run);
            prepared.fill(admin, label, run);
        } finally {
            admin.shutdown();
        }
        return prepared;
    }

    private void name(DefaultMQAdminExt admin, String run) throws Exception {
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
        // The longer first, so that a name inside another one is not replaced alone.
        neutral.put(files.toString(), "DIR");
        neutral.put(names.get("b"), "BROKER_ADDR");
        neutral.put(names.get("ns"), "NAMESRV");
        neutral.put(names.get("c"), "CLUSTER");
        neutral.put(names.get("n"), "BROKER");
        neutral.put(run, "");
    }

    private String write(String name, String text) throws Exception {
        return Files.writeString(files.resolve(name), text).toString();
    }

    private void fill(DefaultMQAdminExt admin, String label, String run) throws Exception {
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
        send(label, topic);
        consumer = consume(label, names.get("g"), topic);
        consume(label + "-off", names.get("off"), topic).shutdown();
        // Away with a lag: two messages of each queue are ahead.
        for (int queue = 0; queue < 2; queue++) {
            admin.updateConsumeOffset(broker, names.get("off"), new MessageQueue(topic, names.get("n"), queue), 1);
        }
        until("no lag", () -> {
            consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
            return admin.examineConsumeStats(names.get("g")).computeTotalDiff() == 0;
        });
        until("a trace", () -> !admin.queryMessage("RMQ_SYS_TRACE_TOPIC", names.get("uid"), 8, 0, Long.MAX_VALUE)
            .getMessageList().isEmpty());
    }

    /** Six messages with keys and two tags, three in each of the two queues, traced. */
    private void send(String label, String topic) throws Exception {
        producer = new DefaultMQProducer(names.get("p"), true, null);
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName("producer-" + label);
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

    /** A push consumer that has taken the six messages. */
    private DefaultMQPushConsumer consume(String label, String group, String topic) throws Exception {
        AtomicInteger taken = new AtomicInteger();
        DefaultMQPushConsumer made = new DefaultMQPushConsumer(group);
        made.setNamesrvAddr(namesrv);
        made.setInstanceName("consumer-" + label);
        made.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        made.subscribe(topic, "red || blue");
        made.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            taken.addAndGet(messages.size());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        made.start();
        names.putIfAbsent("cid", made.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId());
        until("six messages", () -> taken.get() >= 6);
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

    /** A line without what differs between two clusters that behave alike. */
    String neutral(String line) {
        String text = line;
        for (Map.Entry<String, String> name : neutral.entrySet()) {
            text = text.replace(name.getKey(), name.getValue());
        }
        return text.replaceAll("\\b(apache|ours)\\b", "LABEL")
            .replaceAll("commitLogDiskRatio_\\S+", "commitLogDiskRatio_PATH")
            .replaceAll("-?\\d+\\.\\d+(E-?\\d+)?", "#")
            .replaceAll("\\b[0-9A-Fa-f]{16,}\\b", "HEX")
            .replaceAll("\\b(19|20)\\d\\d-\\d\\d-\\d\\d[ #T_]?[0-9:,.]*", "DATE")
            .replaceAll("-?\\d+", "#");
    }

    @Override
    public void close() {
        consumer.shutdown();
        producer.shutdown();
    }
}

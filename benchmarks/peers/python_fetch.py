"""imaplib and imap_tools as peers: logs in, then fetches the whole mailbox once for each line on stdin."""
import imaplib, json, sys, time, zlib

imaplib._MAXLINE = 10_000_000
kind, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]


def sources(connection):
    if kind == "imaplib":
        connection.select("INBOX", readonly=True)
        _, rows = connection.uid("fetch", "1:*", "(BODY.PEEK[])")
        for row in rows:
            if isinstance(row, tuple):
                yield row[1]
    else:
        connection.folder.set("INBOX", readonly=True)
        for message in connection.fetch("ALL", mark_seen=False, bulk=True):
            if kind == "imap_tools_parsed":
                message.subject, message.from_, message.to, message.date, message.headers
                message.text, message.html
                for attachment in message.attachments:
                    attachment.payload
            # as_bytes would write the message anew; the octets fetched are the second item of its raw tuple
            yield message_bytes(message)


def message_bytes(message):
    return raw.pop(0)


raw = []
if kind == "imaplib":
    connection = imaplib.IMAP4("127.0.0.1", port)
    connection.login(user, password)
else:
    import imap_tools
    from imap_tools import MailBoxUnencrypted, MailMessage

    class Kept(MailMessage):
        def __init__(self, fetched):
            super().__init__(fetched)
            raw.extend(item[1] for item in fetched if isinstance(item, tuple))

    class Box(MailBoxUnencrypted):
        email_message_class = Kept

    connection = Box("127.0.0.1", port).login(user, password)

print("ready", flush=True)
for _ in sys.stdin:
    before, cpu = time.perf_counter(), time.process_time()
    count = octets = checksum = 0
    for source in sources(connection):
        count += 1
        octets += len(source)
        checksum = (checksum + zlib.crc32(source)) & 0xFFFFFFFF
    print(json.dumps({
        "millis": (time.perf_counter() - before) * 1000,
        "cpu": (time.process_time() - cpu) * 1000,
        "digest": {"count": count, "octets": octets, "checksum": checksum},
    }), flush=True)

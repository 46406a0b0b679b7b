"""
imaplib and imap_tools as peers: logs in, then reads the whole mailbox once for each line on stdin. imap_tools_parsed
also takes each message apart; in its first run it sums up subjects and texts, without their blanks, as Mail.ts does.
"""
import imaplib, json, re, sys, time, zlib

imaplib._MAXLINE = 10_000_000
kind, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
blanks = re.compile(r"[ \t\r\n]+")


def sources(connection):
    if kind == "imaplib":
        connection.select("INBOX", readonly=True)
        _, rows = connection.uid("fetch", "1:*", "(BODY.PEEK[])")
        for row in rows:
            if isinstance(row, tuple):
                yield row[1]
    else:
        for _ in messages(connection):
            # as_bytes would write the message anew; these are the octets that were fetched
            yield raw.pop(0)


def messages(connection):
    connection.folder.set("INBOX", readonly=True)
    return connection.fetch("ALL", mark_seen=False, bulk=True)


def fetched(connection):
    count = octets = checksum = 0
    for source in sources(connection):
        count += 1
        octets += len(source)
        checksum = (checksum + zlib.crc32(source)) & 0xFFFFFFFF
    return {"count": count, "octets": octets, "checksum": checksum}


def parsed(connection, thorough):
    count = octets = checksum = 0
    for message in messages(connection):
        count += 1
        octets += sum(len(attachment.payload) for attachment in message.attachments)
        message.date, message.from_, message.to, message.cc, message.headers
        read = (message.subject, message.text, message.html)
        if thorough:
            checksum += sum(zlib.crc32(blanks.sub("", text).encode()) for text in read)
    return {"count": count, "octets": octets, **({"checksum": checksum & 0xFFFFFFFF} if thorough else {})}


raw = []
if kind == "imaplib":
    connection = imaplib.IMAP4("127.0.0.1", port)
    connection.login(user, password)
else:
    from imap_tools import MailBoxUnencrypted, MailMessage

    class Kept(MailMessage):
        def __init__(self, row):
            super().__init__(row)
            raw.extend(item[1] for item in row if isinstance(item, tuple))

    class Box(MailBoxUnencrypted):
        email_message_class = MailMessage if kind == "imap_tools_parsed" else Kept

    connection = Box("127.0.0.1", port).login(user, password)

print("ready", flush=True)
for run, _ in enumerate(sys.stdin):
    before, cpu = time.perf_counter(), time.process_time()
    digest = parsed(connection, run == 0) if kind == "imap_tools_parsed" else fetched(connection)
    print(json.dumps({
        "millis": (time.perf_counter() - before) * 1000,
        "cpu": (time.process_time() - cpu) * 1000,
        "digest": digest,
    }), flush=True)

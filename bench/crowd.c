/* crowd PORT PATH COUNT READY MARKER [TEXT...]: so many WebSocket clients of 127.0.0.1 in one thread.
   Each sends the TEXTs as frames after its handshake; it is ready at the first READY (empty: at once).
   Prints "ready SECONDS" when all are, then "total N" whenever another COUNT of MARKERs have come, and
   "lost N" when connections have ended. Ends with its standard input. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTING, SHAKING, OPEN, GONE };
enum { IN_FLIGHT = 256, EVENTS = 512, BUFFER = 1 << 20 };

typedef struct {
    int fd, state, is_ready;
    size_t head, ready, marker; /* how much of each text has been matched */
} Client;

static const char *path, *ready_text, *marker;
static char **texts;
static int port, count, text_count, poller;
static int started, ready_count, lost;
static unsigned long total, told;
static Client *clients;
static char buffer[BUFFER];

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void start_next(void) {
    Client *client = &clients[started++];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0) {
        perror("crowd: socket");
        exit(1);
    }
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        perror("crowd: connect");
        exit(1);
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
    epoll_ctl(poller, EPOLL_CTL_ADD, client->fd, &event);
}

static void write_all(int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t sent = write(fd, data, size);
        if (sent < 0 && errno != EAGAIN)
            return;
        if (sent > 0)
            data += sent, size -= (size_t)sent;
    }
}

static void shake(Client *client) {
    char request[1024];
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                        path, port);
    write_all(client->fd, request, (size_t)size);
    client->state = SHAKING;
}

static void speak(Client *client) {
    for (int i = 0; i < text_count; i++) {
        size_t size = strlen(texts[i]), at = 2;
        char frame[70000];
        if (size > 65535)
            exit(2);
        frame[0] = (char)0x81;
        if (size < 126) {
            frame[1] = (char)(0x80 | size);
        } else {
            frame[1] = (char)0xfe, frame[2] = (char)(size >> 8), frame[3] = (char)size, at = 4;
        }
        memset(frame + at, 0, 4); /* a mask of zeros */
        memcpy(frame + at + 4, texts[i], size);
        write_all(client->fd, frame, at + 4 + size);
    }
}

/* How often `text` ends within these bytes; `matched` is carried from read to read. */
static unsigned long occurrences(const char *text, size_t *matched, const char *data, size_t size, size_t *end) {
    unsigned long found = 0;
    size_t length = strlen(text);
    for (size_t i = 0; i < size; i++) {
        if (*matched == 0) {
            const char *next = memchr(data + i, text[0], size - i);
            if (next == NULL)
                break;
            i = (size_t)(next - data);
        }
        *matched = data[i] == text[*matched] ? *matched + 1 : data[i] == text[0];
        if (*matched == length) {
            *matched = 0, found++;
            if (end != NULL) {
                *end = i + 1;
                break;
            }
        }
    }
    return found;
}

static void become_ready(Client *client) {
    client->is_ready = 1;
    ready_count++;
    if (started < count)
        start_next();
}

static void take(Client *client, const char *data, size_t size) {
    if (client->state == SHAKING) {
        size_t end = 0;
        if (!occurrences("\r\n\r\n", &client->head, data, size, &end))
            return;
        client->state = OPEN;
        data += end, size -= end;
        speak(client);
        if (!*ready_text)
            become_ready(client);
    }
    if (!client->is_ready && occurrences(ready_text, &client->ready, data, size, NULL))
        become_ready(client);
    total += occurrences(marker, &client->marker, data, size, NULL);
}

static void serve(Client *client, unsigned int events) {
    if (client->state == CONNECTING && events & EPOLLOUT)
        shake(client);
    while (client->state != GONE) {
        ssize_t size = read(client->fd, buffer, sizeof buffer);
        if (size > 0) {
            take(client, buffer, (size_t)size);
        } else if (size < 0 && errno == EAGAIN) {
            return;
        } else {
            close(client->fd);
            client->state = GONE;
            printf("lost %d\n", ++lost);
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 6)
        return 2;
    port = atoi(argv[1]), path = argv[2], count = atoi(argv[3]), ready_text = argv[4], marker = argv[5];
    texts = argv + 6, text_count = argc - 6;
    setvbuf(stdout, NULL, _IOLBF, 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc((size_t)count, sizeof *clients);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &input);
    double began = now();
    int said = 0;
    while (started < count && started < IN_FLIGHT)
        start_next();
    for (;;) {
        int found = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < found; i++) {
            if (events[i].data.ptr != NULL)
                serve(events[i].data.ptr, events[i].events);
            else if (read(STDIN_FILENO, buffer, sizeof buffer) <= 0)
                return 0;
        }
        if (!said && ready_count == count)
            said = printf("ready %.3f\n", now() - began);
        if (total / (unsigned long)count > told) {
            told = total / (unsigned long)count;
            printf("total %lu\n", total);
        }
    }
}

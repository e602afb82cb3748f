/* floor PORT [join]: the least that a fan-out can cost, one send() a delivery in one thread of C.
   WebSocket clients come to PORT (their handshake is answered, not checked), publications to PORT + 1 as
   lines. With `join`, what has come at once is one send() a client. Measured against, never served from. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 65536, EVENTS = 512, BUFFER = 1 << 20 };
static const char ANSWER[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: not checked\r\n\r\n";
static int listeners[2], poller, joins, open_count, order[MOST];
static char open_now[MOST], is_publisher[MOST], buffer[BUFFER], lines[BUFFER], wire[2 * BUFFER];
static size_t held, ready;

static int listening(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1, size = 65536;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0) {
        perror("floor");
        exit(1);
    }
    return fd;
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void send_all(const char *data, size_t size) {
    for (int i = 0; i < open_count; i++)
        send(order[i], data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void publish(const char *line, size_t size) {
    size_t at = ready;
    wire[at++] = (char)0x81;
    if (size < 126) {
        wire[at++] = (char)size;
    } else {
        wire[at++] = 126, wire[at++] = (char)(size >> 8), wire[at++] = (char)size;
    }
    memcpy(wire + at, line, size);
    ready = at + size;
    if (!joins)
        send_all(wire, ready), ready = 0;
}

static void take_lines(const char *data, size_t size) {
    memcpy(lines + held, data, size);
    held += size;
    char *begin = lines, *end;
    while ((end = memchr(begin, '\n', held - (size_t)(begin - lines))) != NULL) {
        publish(begin, (size_t)(end - begin));
        begin = end + 1;
    }
    held -= (size_t)(begin - lines);
    memmove(lines, begin, held);
}

static void leave(int fd) {
    for (int i = 0; open_now[fd] && i < open_count; i++)
        if (order[i] == fd)
            order[i] = order[--open_count], open_now[fd] = 0;
    close(fd);
}

static void serve(int fd) {
    ssize_t size = read(fd, buffer, sizeof buffer / 2);
    if (size <= 0) {
        leave(fd);
    } else if (is_publisher[fd]) {
        take_lines(buffer, (size_t)size);
    } else if (!open_now[fd] && memmem(buffer, (size_t)size, "\r\n\r\n", 4) != NULL) {
        send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL);
        order[open_count++] = fd, open_now[fd] = 1;
    }
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    joins = argc > 2;
    poller = epoll_create1(0);
    for (int i = 0; i < 2; i++)
        watch(listeners[i] = listening(atoi(argv[1]) + i));
    struct epoll_event events[EVENTS];
    for (;;) {
        int found = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < found; i++) {
            int fd = events[i].data.fd, of_publisher = fd == listeners[1];
            if (fd != listeners[0] && !of_publisher) {
                serve(fd);
                continue;
            }
            int made = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
            if (made >= 0 && made < MOST)
                is_publisher[made] = (char)of_publisher, open_now[made] = 0, watch(made);
        }
        if (ready)
            send_all(wire, ready), ready = 0;
    }
}

/* send_all(descriptors, start, stop, frame) -> [(place, sent)]: send one frame to the sockets of a range.
   Listed are those that did not take all of it: how many bytes they took, or -1 when they are dead.
   `descriptors` is a buffer of C ints. The GIL is released while sending. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <sys/socket.h>

typedef struct { Py_ssize_t place, sent; } Short;

static PyObject *list_of(const Short *found, Py_ssize_t count) {
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyObject *pair = Py_BuildValue("(nn)", found[i].place, found[i].sent);
        if (pair == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, pair);
    }
    return list;
}

static PyObject *send_all(PyObject *module, PyObject *args) {
    Py_buffer descriptors, frame;
    Py_ssize_t start, stop, count = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*nny*", &descriptors, &start, &stop, &frame))
        return NULL;
    PyObject *list = NULL;
    if (start < 0 || start > stop || stop > descriptors.len / (Py_ssize_t)sizeof(int)) {
        PyErr_SetString(PyExc_IndexError, "range outside of the descriptors");
        goto done;
    }
    Short *found = PyMem_RawMalloc((size_t)(stop - start + 1) * sizeof(Short));
    if (found == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    const int *sockets = descriptors.buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t at = start; at < stop; at++) {
        ssize_t sent = send(sockets[at], frame.buf, (size_t)frame.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent == frame.len)
            continue;
        int full = sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == EINTR);
        found[count++] = (Short){at, full ? 0 : sent};
    }
    Py_END_ALLOW_THREADS
    list = list_of(found, count);
    PyMem_RawFree(found);
done:
    PyBuffer_Release(&descriptors);
    PyBuffer_Release(&frame);
    return list;
}

static PyMethodDef methods[] = {
    {"send_all", send_all, METH_VARARGS, "Send one frame to the sockets of a range."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_sendall", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__sendall(void) { return PyModule_Create(&definition); }

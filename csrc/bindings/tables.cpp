// The torch-free module: enumeration of NAS-Bench-101 and its look-up tables as numpy arrays, readers of published
// files.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "enumeration.h"
#include "formats.h"

namespace py = pybind11;

namespace {

// Hands the vector's memory to numpy without a copy.
template <class T, class Element>
py::array_t<T> to_numpy(std::vector<Element>&& values, std::vector<py::ssize_t> shape) {
  auto* owned = new std::vector<Element>(std::move(values));
  py::capsule owner(owned, [](void* p) { delete static_cast<std::vector<Element>*>(p); });
  return py::array_t<T>(std::move(shape), reinterpret_cast<T*>(owned->data()), owner);
}

template <class T>
py::array_t<T> to_numpy(std::vector<T>&& values) {
  const auto size = py::ssize_t(values.size());
  return to_numpy<T, T>(std::move(values), {size});
}

py::dict nasbench101() {
  zcfast::Enumeration all;
  {
    py::gil_scoped_release release;
    all = zcfast::enumerate_cells();
  }
  const auto orders = py::ssize_t(all.orders.size()), cells = py::ssize_t(all.operations.size());
  py::dict tables;
  tables["lookup"] = to_numpy(std::move(all.lookup));
  tables["orders"] = to_numpy<int8_t>(std::move(all.orders), {orders, zcfast::kMaxOperations});
  tables["class_first"] = to_numpy(std::move(all.class_first));
  tables["class_orbits"] = to_numpy(std::move(all.class_orbits));
  tables["orbits"] = to_numpy(std::move(all.orbits));
  tables["vertices"] = to_numpy(std::move(all.vertices));
  tables["edges"] = to_numpy(std::move(all.edges));
  tables["operations"] = to_numpy<int8_t>(std::move(all.operations), {cells, zcfast::kMaxOperations});
  return tables;
}

}  // namespace

PYBIND11_MODULE(_tables, module) {
  module.doc() = "Enumeration tables of search spaces and the formats of published files, without torch.";
  module.def("nasbench101", &nasbench101,
             "All NAS-Bench-101 cells in enumeration order (vertices [N], edges [N], operations [N, 5]) and the tables "
             "of the canonical form: lookup [2131018], orders [120, 5], class_first, class_orbits, orbits.");
  zcfast::register_tfrecord(module);
  zcfast::register_model_metrics(module);
  zcfast::register_pickle(module);
}

//! A layered drawing of a small graph without cycles: every edge leads downwards.
//!
//! After Sugiyama, Tagawa and Toda (1981): layers by longest path, bends where an edge crosses a layer, an order
//! within layers by the mean of the neighbours, and places that keep that order. Deterministic; meant for a few
//! dozen nodes.

use petgraph::Direction::{Incoming, Outgoing};
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};

/// Pixels between neighbours of a layer.
const GAP: f64 = 14.0;
/// Width that a passing edge takes.
const PASSING: f64 = 10.0;
/// Rounds in which orders and places are bettered.
const ROUNDS: usize = 24;

/// Where everything stands.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The middle of every node, by index.
    pub nodes: Vec<(f64, f64)>,
    /// The middles of layers through which every edge passes, both ends included, by index.
    pub edges: Vec<Vec<(f64, f64)>>,
    /// Width of all.
    pub width: f64,
    /// Number of layers.
    pub layers: usize,
}

/// A node, or the bend of an edge.
struct Cell {
    width: f64,
    layer: usize,
    x: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// Draws a graph whose nodes are their widths, layers `step` pixels apart. `None` if it has a cycle.
pub fn layout<E>(graph: &DiGraph<f64, E>, step: f64) -> Option<Layout> {
    let order = toposort(graph, None).ok()?;
    // The lowest layer last: a node stands one above the highest of those that it leads to.
    let mut height = vec![0usize; graph.node_count()];
    for &node in order.iter().rev() {
        let below = graph.neighbors_directed(node, Outgoing).map(|n| height[n.index()] + 1);
        height[node.index()] = below.max().unwrap_or(0);
    }
    let layers = height.iter().max().map_or(0, |h| h + 1);
    let mut cells: Vec<Cell> = graph
        .node_indices()
        .map(|n| Cell {
            width: graph[n],
            layer: layers - 1 - height[n.index()],
            x: 0.0,
            above: Vec::new(),
            below: Vec::new(),
        })
        .collect();
    let mut paths: Vec<Vec<usize>> = Vec::with_capacity(graph.edge_count());
    for edge in graph.edge_indices() {
        let (from, to) = graph.edge_endpoints(edge)?;
        paths.push(path(&mut cells, from, to));
    }
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); layers];
    // Neighbours in the drawing begin as neighbours in depth first order.
    let mut begun = vec![false; cells.len()];
    for &source in order.iter().filter(|&&n| graph.neighbors_directed(n, Incoming).next().is_none()) {
        visit(source.index(), &cells, &mut begun, &mut rows);
    }
    for round in 0..ROUNDS {
        arrange(&mut cells, &mut rows, round % 2 == 0);
    }
    for round in 0..ROUNDS {
        place(&mut cells, &rows, round % 2 == 0);
    }
    let left = cells.iter().map(|c| c.x - c.width / 2.0).fold(f64::MAX, f64::min);
    let right = cells.iter().map(|c| c.x + c.width / 2.0).fold(f64::MIN, f64::max);
    let at = |cell: usize| (cells[cell].x - left, cells[cell].layer as f64 * step);
    Some(Layout {
        nodes: (0..graph.node_count()).map(at).collect(),
        edges: paths.iter().map(|path| path.iter().map(|&c| at(c)).collect()).collect(),
        width: (right - left).max(0.0),
        layers,
    })
}

/// Adds a bend in every layer between two nodes; gives all cells on the way.
fn path(cells: &mut Vec<Cell>, from: NodeIndex, to: NodeIndex) -> Vec<usize> {
    let (from, to) = (from.index(), to.index());
    let mut way = vec![from];
    for layer in cells[from].layer + 1..cells[to].layer {
        cells.push(Cell { width: PASSING, layer, x: 0.0, above: Vec::new(), below: Vec::new() });
        way.push(cells.len() - 1);
    }
    way.push(to);
    for pair in way.windows(2) {
        cells[pair[0]].below.push(pair[1]);
        cells[pair[1]].above.push(pair[0]);
    }
    way
}

fn visit(cell: usize, cells: &[Cell], begun: &mut [bool], rows: &mut [Vec<usize>]) {
    if std::mem::replace(&mut begun[cell], true) {
        return;
    }
    rows[cells[cell].layer].push(cell);
    for &next in &cells[cell].below {
        visit(next, cells, begun, rows);
    }
}

/// Orders every layer by the mean place of the neighbours in the layers already passed.
fn arrange(cells: &mut [Cell], rows: &mut [Vec<usize>], down: bool) {
    let layers: Vec<usize> = if down { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
    for row in rows.iter() {
        for (i, &cell) in row.iter().enumerate() {
            cells[cell].x = i as f64 - (row.len() as f64 - 1.0) / 2.0;
        }
    }
    for layer in layers {
        let mut wished: Vec<(f64, usize)> = rows[layer].iter().map(|&c| (wish(cells, c, down), c)).collect();
        wished.sort_by(|a, b| a.0.total_cmp(&b.0));
        let middle = (wished.len() as f64 - 1.0) / 2.0;
        rows[layer] = wished.iter().map(|w| w.1).collect();
        for (i, &(_, cell)) in wished.iter().enumerate() {
            cells[cell].x = i as f64 - middle;
        }
    }
}

/// The mean place of a cell's neighbours above or below; where it has none, its own.
fn wish(cells: &[Cell], cell: usize, down: bool) -> f64 {
    let near = if down { &cells[cell].above } else { &cells[cell].below };
    if near.is_empty() {
        return cells[cell].x;
    }
    near.iter().map(|&n| cells[n].x).sum::<f64>() / near.len() as f64
}

/// Moves the cells of every layer towards their neighbours, in order and without touching.
fn place(cells: &mut [Cell], rows: &[Vec<usize>], down: bool) {
    let layers: Vec<usize> = if down { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
    for layer in layers {
        let row = &rows[layer];
        let wished: Vec<f64> = row.iter().map(|&c| wish(cells, c, down)).collect();
        // As far left and as far right as the wishes of those before and behind allow; the middle of both.
        let apart = |a: usize, b: usize| (cells[row[a]].width + cells[row[b]].width) / 2.0 + GAP;
        let mut left = wished.clone();
        for i in 1..row.len() {
            left[i] = left[i].max(left[i - 1] + apart(i - 1, i));
        }
        let mut right = wished;
        for i in (0..row.len().saturating_sub(1)).rev() {
            right[i] = right[i].min(right[i + 1] - apart(i, i + 1));
        }
        for (i, &cell) in row.iter().enumerate() {
            cells[cell].x = f64::midpoint(left[i], right[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_lead_down_and_nothing_overlaps() {
        let mut g: DiGraph<f64, ()> = DiGraph::new();
        let nodes: Vec<NodeIndex> = (0..9).map(|i| g.add_node(40.0 + 10.0 * f64::from(i % 3))).collect();
        for (a, b) in [(0, 1), (0, 2), (0, 8), (1, 3), (2, 3), (2, 4), (3, 5), (4, 5), (4, 6), (7, 6), (5, 8)]
        {
            g.add_edge(nodes[a], nodes[b], ());
        }
        let l = layout(&g, 50.0).unwrap();
        for edge in g.edge_indices() {
            let path = &l.edges[edge.index()];
            let (from, to) = g.edge_endpoints(edge).unwrap();
            assert_eq!((path[0], path[path.len() - 1]), (l.nodes[from.index()], l.nodes[to.index()]));
            assert!(path.windows(2).all(|p| (p[1].1 - p[0].1 - 50.0).abs() < 1e-9), "{path:?}");
        }
        for a in g.node_indices() {
            let (x, y) = l.nodes[a.index()];
            assert!(x - g[a] / 2.0 >= -1e-9 && x + g[a] / 2.0 <= l.width + 1e-9);
            for b in g.node_indices().filter(|&b| b > a && l.nodes[b.index()].1 == y) {
                let apart = (x - l.nodes[b.index()].0).abs();
                assert!(apart >= (g[a] + g[b]) / 2.0 + GAP - 1e-6, "{a:?} {b:?} {apart}");
            }
        }
        g.add_edge(nodes[8], nodes[0], ());
        assert!(layout(&g, 50.0).is_none());
    }
}

//! Whether a graph is what the manifest says of it.

use ort::session::Session;
use ort::value::{Outlet, TensorElementType, ValueType};

use super::Stage;

/// Everything in which the graph differs from the manifest.
pub(super) fn problems(stage: &Stage, session: &Session) -> Vec<String> {
    let mut problems = Vec::new();
    let (input, size) = (&stage.input.name, stage.input.size);
    match session.inputs().iter().find(|found| found.name() == input) {
        None => problems.push(format!("no input {input:?}, but {}", names(session.inputs()))),
        Some(found) => {
            let wanted = [Some(-1), Some(size.height.into()), Some(size.width.into()), Some(3)];
            if !is(found, TensorElementType::Uint8, &wanted) {
                let (height, width) = (size.height, size.width);
                let wanted = format!("Tensor<u8>(N, {height}, {width}, 3)");
                problems.push(format!("input {input:?} is {}, not {wanted}", found.dtype()));
            }
        }
    }
    if session.inputs().len() > 1 {
        problems.push(format!("more than one input: {}", names(session.inputs())));
    }
    let logits = stage.attributes.iter().map(|attribute| {
        (&attribute.output, &[TensorElementType::Float32][..], Some(attribute.classes.len()))
    });
    let embedding = stage
        .embedding
        .iter()
        .map(|output| (output, &[TensorElementType::Float32, TensorElementType::Float16][..], None));
    for (output, elements, columns) in logits.chain(embedding) {
        let shape = [None, columns.map(|columns| columns as i64)];
        match session.outputs().iter().find(|found| found.name() == output) {
            None => problems.push(format!("no output {output:?}, but {}", names(session.outputs()))),
            Some(found) if !elements.iter().any(|element| is(found, *element, &shape)) => {
                let columns = columns.map_or("D".to_owned(), |columns| columns.to_string());
                let wanted: Vec<_> =
                    elements.iter().map(|element| format!("Tensor<{element}>(N, {columns})")).collect();
                problems.push(format!("output {output:?} is {}, not {}", found.dtype(), wanted.join(" or ")));
            }
            Some(_) => {}
        }
    }
    problems.into_iter().map(|problem| format!("stage {:?}: {problem}", stage.name)).collect()
}

/// Whether it is a tensor of `element` with `shape`. A dimension of -1 is free:
/// wanted so for the batch, and welcome for every other.
fn is(found: &Outlet, element: TensorElementType, shape: &[Option<i64>]) -> bool {
    let ValueType::Tensor { ty, shape: found, .. } = found.dtype() else { return false };
    let fits =
        |(found, wanted): (&i64, &Option<i64>)| wanted.is_none_or(|wanted| *found == wanted || *found == -1);
    *ty == element && found.len() == shape.len() && found.iter().zip(shape).all(fits)
}

fn names(outlets: &[Outlet]) -> String {
    let names: Vec<_> = outlets.iter().map(|outlet| format!("{:?}", outlet.name())).collect();
    names.join(", ")
}

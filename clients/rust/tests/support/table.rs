//! The conformance table: its cases, the JSON form of messages, and how answers are compared.

use std::path::Path;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../conformance/cases");
const DESCRIPTORS: &[u8] = include_bytes!("rerank.v1.binpb");
/// How far two numbers may be apart.
const TOLERANCE: f64 = 1e-6;

/// Every case, with the name of its file.
pub(crate) fn cases() -> Vec<(String, Value)> {
    let mut cases = vec![];
    for entry in Path::new(CASES).read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let read: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        cases.extend(read.into_iter().map(|case| (name.clone(), case)));
    }
    cases
}

/// The JSON form of a method's messages.
pub(crate) struct Json {
    request: MessageDescriptor,
    response: MessageDescriptor,
}

impl Json {
    /// Of a method such as `rerank.v1.RerankService/Rerank`.
    pub(crate) fn of(method: &str) -> Self {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let (service, name) = method.split_once('/').unwrap();
        let service = pool.get_service_by_name(service).unwrap();
        let method = service
            .methods()
            .find(|method| method.name() == name)
            .unwrap();
        Self {
            request: method.input(),
            response: method.output(),
        }
    }

    pub(crate) fn read<Q: Message + Default>(&self, json: &Value) -> Q {
        let message = DynamicMessage::deserialize(self.request.clone(), json).unwrap();
        Q::decode(&*message.encode_to_vec()).unwrap()
    }

    pub(crate) fn read_all<Q: Message + Default>(&self, json: &Value) -> Vec<Q> {
        json.as_array()
            .unwrap()
            .iter()
            .map(|each| self.read(each))
            .collect()
    }

    pub(crate) fn write<A: Message>(&self, answer: &A) -> Value {
        let message = DynamicMessage::decode(self.response.clone(), &*answer.encode_to_vec());
        serde_json::to_value(message.unwrap()).unwrap()
    }
}

/// Leaves out what a call of the table calls volatile, wherever it stands.
pub(crate) fn steady(value: Value, call: &Value) -> Value {
    let volatile = |key: &str| {
        let named = call["volatile"].as_array();
        key == "duration" || named.is_some_and(|named| named.iter().any(|name| name == key))
    };
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(key, _)| !volatile(key))
            .map(|(key, each)| (key, steady(each, call)))
            .collect(),
        Value::Array(elements) => elements
            .into_iter()
            .map(|each| steady(each, call))
            .collect(),
        other => other,
    }
}

/// Says in words where two answers differ first.
pub(crate) fn difference(got: &Value, expected: &Value, path: &str) -> Option<String> {
    match (got, expected) {
        (Value::Object(members), Value::Object(others)) => {
            if members.len() != others.len() || members.keys().any(|key| !others.contains_key(key))
            {
                let keys =
                    |members: &serde_json::Map<_, _>| members.keys().cloned().collect::<Vec<_>>();
                return Some(format!(
                    "{path} has {:?}, not {:?}",
                    keys(members),
                    keys(others)
                ));
            }
            let each = |(key, value)| difference(value, &others[key], &format!("{path}.{key}"));
            members.iter().find_map(each)
        }
        (Value::Array(elements), Value::Array(others)) if elements.len() == others.len() => {
            let mut pairs = elements.iter().zip(others).enumerate();
            pairs.find_map(|(at, (one, other))| difference(one, other, &format!("{path}[{at}]")))
        }
        (Value::Number(number), Value::Number(other)) => {
            let (number, other) = (number.as_f64().unwrap(), other.as_f64().unwrap());
            let allowed = TOLERANCE * number.abs().max(other.abs()).max(1.0);
            ((number - other).abs() > allowed).then(|| format!("{path} is {number}, not {other}"))
        }
        _ => (got != expected).then(|| format!("{path} is {got}, not {expected}")),
    }
}

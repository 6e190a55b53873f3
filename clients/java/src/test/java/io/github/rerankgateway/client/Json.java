package io.github.rerankgateway.client;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import java.util.List;

/** Messages from and to their JSON form. */
final class Json {
  private Json() {}

  static <B extends Message.Builder> B read(JsonElement json, B into) {
    try {
      JsonFormat.parser().merge(json.toString(), into);
      return into;
    } catch (InvalidProtocolBufferException e) {
      throw new AssertionError(e);
    }
  }

  static <B extends Message.Builder> B only(List<JsonElement> requests, B into) {
    if (requests.size() != 1) {
      throw new AssertionError("one request is needed, not " + requests.size());
    }
    return read(requests.get(0), into);
  }

  static JsonElement of(MessageOrBuilder message) {
    try {
      return JsonParser.parseString(JsonFormat.printer().print(message));
    } catch (InvalidProtocolBufferException e) {
      throw new AssertionError(e);
    }
  }
}

require "sinatra/base"

class Greetings < Sinatra::Base
  get "/" do
    "hello from ruby\n"
  end

  get "/to/:name" do
    "hello #{params[:name]}\n"
  end

  post "/echo" do
    request.body.read
  end
end
